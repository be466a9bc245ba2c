"""Puts a submission onto the board: checks it, merges it with what is there, and writes all of it or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from siit._version import __version__
from siit.evaluation.candidate import REFERENCES
from siit.evaluation.files import FailedJob, Results
from siit.evaluation.result import Evaluation
from siit.leaderboard.check import is_on_board, judge_all
from siit.leaderboard.entry import METHODS_FOLDER, SETTING, Entry, entry_bytes, read_entry
from siit.leaderboard.release import Model, Release, words
from siit.show.files import put_files

Outcome = Literal["new", "unchanged", "extended", "replaced"]
_Key = tuple[str, int, int]
"""Case, seed of the model, seed."""


@dataclass(frozen=True)
class Added:
    """What became of a method of a submission.

    Attributes:
        entry: as it is on the board now.
        outcome: `unchanged` where all of it was there already; `extended` where further models came to it.
        missing: model of the release that has no evaluation -> why.
    """

    entry: Entry
    outcome: Outcome
    missing: Mapping[Model, str]


def add(
    board: Path, results: Results, release: Release, *, about: str = "", replace: bool = False
) -> tuple[list[Added], list[str]]:
    """Checks a submission and merges it into a board.

    Args:
        board: its folder, made if need be.
        results: what `siit evaluate` wrote.
        release: the models.
        about: of the methods, in a line.
        replace: whether what is there may be changed.

    Returns:
        What became of each method; and what was left out, in lines.

    Raises:
        ValueError: names what was found and what is accepted; nothing was written then.
    """
    submitted, notes = entries_of(results, release, about)
    added: list[Added] = []
    files: dict[str, bytes] = {}
    for entry in submitted:
        path = board / METHODS_FOLDER / entry.file
        before = read_entry(path) if path.exists() else None
        merged, outcome = merge(before, entry, replace=replace)
        added.append(Added(merged, outcome, missing(merged, release.entries)))
        if outcome != "unchanged":
            if entry.file in files:
                raise ValueError(f"method: found two whose file is {entry.file}, accepted is one")
            files[entry.file] = entry_bytes(merged)
    if files:
        put_files(board / METHODS_FOLDER, files)
    return added, notes


def entries_of(results: Results, release: Release, about: str = "") -> tuple[list[Entry], list[str]]:
    """Checks a submission, and makes an entry of each method.

    Returns:
        The entries; and what was left out, in lines.

    Raises:
        ValueError: names what was found and what is accepted.
    """
    ours = [one for one in results.evaluations if is_on_board(one)]
    notes = []
    if others := len(results.evaluations) - len(ours):
        notes.append(f"{others} evaluations under other settings are left out; the board's is {_setting()}")
    by_method: dict[str, list[Evaluation]] = {}
    for one in ours:
        by_method.setdefault(one.method, []).append(one)
    if references := sorted(by_method.keys() & REFERENCES.keys()):
        notes.append(f"{', '.join(references)}: no methods, and left out; the page has the structure null and chance")
    entries = []
    for method in sorted(by_method.keys() - REFERENCES.keys()):
        given = sorted(by_method[method], key=_key)
        if versions := {one.version for one in given} - {__version__}:
            raise ValueError(f"{method}: version: found {min(versions)}, accepted is this one's, {__version__}")
        judged = judge_all(given, release)
        kept = tuple(one.evaluation for one in judged)
        failed = [one for one in results.failed if one.method == method and _is_of(one, release)]
        digests = {one.method_sha256 for one in kept}
        if len(digests) > 1:
            raise ValueError(f"{method}: found {len(digests)} files of it, accepted is one")
        (digest,) = digests
        if ":" in method and digest is None:
            raise ValueError(f"{method}: method_sha256: found none, accepted is that of the file which it is in")
        entry = Entry(method, digest, about, kept, tuple(failed))
        _check_whole(entry)
        entries.append(entry)
    if not entries:
        raise ValueError(f"evaluations: found none of a method under the board's setting, accepted is {_setting()}")
    return entries, notes


def merge(before: Entry | None, new: Entry, *, replace: bool) -> tuple[Entry, Outcome]:
    """Merges an entry with the one that is there. Times may differ: those that were there stay.

    Args:
        before: what is there, if anything.
        new: of the same method.
        replace: whether what is there may be changed; where the method's file is another one, all of it goes.

    Raises:
        ValueError: something is changed and may not be.
    """
    if before is None:
        return new, "new"
    if before.method != new.method:
        raise ValueError(f"method: found {new.method}, whose file is that of {before.method}, accepted is another name")
    old = {_key(one): one for one in before.evaluations}
    changed = [one for one in new.evaluations if _key(one) in old and not _alike(one, old[_key(one)])]
    another = before.method_sha256 != new.method_sha256
    reworded = bool(before.about and new.about and before.about != new.about)
    if (changed or another or reworded) and not replace:
        what = (
            "another file of the method"
            if another
            else f"other numbers on {words((changed[0].case, changed[0].model_seed))}"
            if changed
            else "other words about it"
        )
        raise ValueError(f"{new.method}: found {what} than on the board, accepted is the same, or --replace")
    kept = {} if another else old
    renewed = {_key(one): one for one in new.evaluations if _key(one) not in kept or one in changed}
    evaluations = tuple(sorted({**kept, **renewed}.values(), key=_key))
    done = {(one.case, one.model_seed) for one in evaluations}
    lost = {
        (one.case, one.model_seed, one.setting.seed): one for one in (*(() if another else before.failed), *new.failed)
    }
    failed = tuple(one for one in lost.values() if (one.case, one.model_seed) not in done)
    merged = Entry(new.method, new.method_sha256, new.about or before.about, evaluations, failed)
    if merged == before:
        return before, "unchanged"
    _check_whole(merged)
    return merged, "replaced" if changed or another or reworded else "extended"


def missing(entry: Entry, models: Iterable[Model]) -> dict[Model, str]:
    """Lists models of which an entry has no evaluation, each with the reason where one is known."""
    done = {(one.case, one.model_seed) for one in entry.evaluations}
    why = {(one.case, one.model_seed): one.error for one in entry.failed}
    return {model: why.get(model, "not evaluated") for model in models if model not in done}


def _check_whole(entry: Entry) -> None:
    """Raises ValueError where an entry has one thing twice, or seeds of the draw on some models alone."""
    keys = [_key(one) for one in entry.evaluations]
    seeds: dict[Model, list[int]] = {}
    for case, model_seed, seed in keys:
        seeds.setdefault((case, model_seed), []).append(seed)
    if len({*keys}) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{entry.method} on {words(twice[:2])}: found seed {twice[2]} twice, accepted is once")
    first = next(iter(seeds.values()), [])
    for model, found in seeds.items():
        if found != first:
            raise ValueError(
                f"{entry.method} on {words(model)}: found the seeds {found}, accepted are those of all models, {first}"
            )


def _is_of(failed: FailedJob, release: Release) -> bool:
    setting = dataclasses.replace(failed.setting, seed=SETTING.seed)
    return setting == SETTING and (failed.case, failed.model_seed) in release.entries


def _key(one: Evaluation) -> _Key:
    return one.case, one.model_seed, one.setting.seed


def _alike(one: Evaluation, other: Evaluation) -> bool:
    """Tells whether two evaluations say the same, times and devices apart."""
    first, second = (dataclasses.replace(each, seconds=0.0, device="") for each in (one, other))
    return first == second


def _setting() -> str:
    return f"corruption={SETTING.corruption} ablation={SETTING.ablation} n_pairs={SETTING.n_pairs}"


def coverage(added: Sequence[Added], total: int) -> list[str]:
    """Words what became of each method, and which models it lacks."""
    lines = []
    for one in added:
        covered = total - len(one.missing)
        lines.append(f"{one.entry.method}: {one.outcome}, {covered} of {total} models")
        lines += [f"  not covered: {words(model)}: {why}" for model, why in one.missing.items()]
    return lines
