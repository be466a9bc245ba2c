"""Publishing a bundle: checked, sent in one commit, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from siit.bundle import CARD_FILE, INDEX_FILE, MANIFEST_FILE, File, render_card, render_index
from siit.hub.croissant import CROISSANT_FILE, render_croissant
from siit.hub.errors import HubError
from siit.hub.models import PackedModel, Report, pack_models
from siit.hub.pictures import PICTURES, draw_pictures, picture_path
from siit.hub.preview import write_preview
from siit.hub.repository import MAIN, Repository, is_same
from siit.starter import with_starter

_UNITS = ("B", "kB", "MB", "GB")


@dataclass(frozen=True)
class Published:
    """What a call has done.

    Attributes:
        url: where the repository is shown.
        commit: the commit that holds the bundle; None after a dry run.
        preview: the folder with the pages that a dry run made; else None.
        files: all files of the bundle, by their path in the repository.
        sent: the paths of those that the Hub did not have; all of them after a dry run.
    """

    url: str
    commit: str | None
    files: Mapping[str, File]
    sent: Sequence[str]
    preview: Path | None = None


def publish(
    bundle: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    dry_run: bool = False,
    recheck: bool = True,
    allow_uncertified: bool = False,
    prune: bool = False,
    pictures: bool = True,
    endpoint: str | None = None,
    report: Report = lambda line: None,
) -> Published:
    """Publishes a bundle's folder as a model repository; its models and pages are not changed.

    What the Hub has already is not sent again, so that a call which failed is finished by the same call.

    Args:
        bundle: a bundle's folder, such as `checkpoints`, or `starter`.
        repo_id: `<organization or user>/<name>`; made if it does not exist.
        private: whether the repository is private; None for public, or as it is.
        revision: a branch, made if it does not exist; `main` by default.
        dry_run: check everything and send nothing; the Hub is not asked. The repository's pages, with the pictures, are
            written into the bundle's folder `.preview`.
        recheck: measure every certificate again; if not, the card says so.
        allow_uncertified: publish models without a certificate too, marked on the card and in their manifest.
        prune: remove models from the repository that the bundle does not have; without it they are an error.
        pictures: draw each circuit for the card, where matplotlib is installed.
        endpoint: the Hub's address; HF_ENDPOINT or the public Hub by default.
        report: is told how far things are, a line at a time.

    Raises:
        BundleError: a model is damaged, or there is none.
        UncertifiedError: a model is not certified, or its certificate is not true.
        HubError: the Hub cannot be reached, refuses, or has something else than what was sent.
    """
    repository = Repository(repo_id, revision, endpoint)
    if not dry_run:
        repository.check(private)
    bundle = with_starter(bundle)
    models = pack_models(bundle, recheck=recheck, allow_uncertified=allow_uncertified, report=report)
    drawn = draw_pictures(models, report) if pictures else {}
    pages = _pages(models, drawn, repo_id, repository.url, revision, measured_again=recheck)
    files = dict(pages)
    for model in models:
        files |= {f"{model.content.entry.path}/{name}": file for name, file in model.content.files.items()}
    if dry_run:
        _show(files, report)
        return Published(repository.url, None, files, list(files), write_preview(bundle, pages))

    head = repository.prepare(private)
    there = repository.files(head)
    added = {path: file for path, file in files.items() if path not in there or not is_same(file, there[path])}
    deleted = _superfluous(there, files, models, repo_id, prune=prune)
    if added or deleted:
        _show(added, report)
        report(f"Sending {len(added)} of {len(files)} files, removing {len(deleted)}")
        head = repository.commit(head, f"siit bundle: {len(models)} models", added, deleted)
        report("Reading back")
        _verify(repo_id, repository, head, files, deleted)
    return Published(repository.url, head, files, list(added))


def _pages(
    models: Sequence[PackedModel],
    drawn: Mapping[str, File],
    repo_id: str,
    url: str,
    revision: str | None,
    *,
    measured_again: bool,
) -> dict[str, File]:
    """By their path in the repository: the card with its pictures, the index, and the Croissant metadata."""
    card = render_card(
        [model.summary for model in models],
        repo_id=repo_id,
        revision=revision,
        measured_again=measured_again,
        pictures={model: picture_path(model) for model in drawn},
    )
    return {
        CARD_FILE: File.of(card.encode()),
        INDEX_FILE: File.of(render_index([model.content.entry for model in models])),
        CROISSANT_FILE: File.of(render_croissant(models, repo_id, url, revision or MAIN)),
        **{picture_path(model): picture for model, picture in drawn.items()},
    }


def _show(files: Mapping[str, File], report: Report) -> None:
    for path, file in files.items():
        report(f"{_readable(file.size):>10}  {path}")
    report(f"{_readable(sum(file.size for file in files.values())):>10}  in {len(files)} files")


def _readable(count: int) -> str:
    size, unit = float(count), 0
    while size >= 999.95 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} {_UNITS[0]}"


def _superfluous(
    there: Iterable[str], files: Mapping[str, File], models: Sequence[PackedModel], repo_id: str, *, prune: bool
) -> list[str]:
    """Files on the Hub that readers of the new index would stumble over, and pictures that no card shows.

    Raises:
        HubError: the repository has models that the bundle does not, and `prune` is not set.
    """
    ours = {model.content.entry.path: model.content.files for model in models}
    others = {path.removesuffix(f"/{MANIFEST_FILE}") for path in there if path.endswith(f"/{MANIFEST_FILE}")} - set(
        ours
    )
    if others and not prune:
        raise HubError(
            f"{repo_id}: models: found {', '.join(sorted(others))}, which the bundle does not have; accepted are a "
            "bundle that holds them too (copy them into it from the repository), or prune=true, which removes them"
        )
    stale = []
    for path in there:
        folder, _, name = path.rpartition("/")
        if (
            folder in others
            or (folder in ours and name not in ours[folder])
            or (folder == PICTURES and path not in files)
        ):
            stale.append(path)
    return stale


def _verify(
    repo_id: str, repository: Repository, commit: str, files: Mapping[str, File], deleted: Sequence[str]
) -> None:
    """Raises HubError unless a commit holds just what was sent."""
    there = repository.files(commit)
    wrong = [path for path, file in files.items() if path not in there or not is_same(file, there[path])]
    wrong += [path for path in deleted if path in there]
    if wrong:
        raise HubError(
            f"{repo_id}: {wrong[0]}: found another content on the Hub than was sent ({len(wrong)} such files in commit "
            f"{commit}), accepted is the same; publish again"
        )
