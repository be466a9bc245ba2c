"""Downloads a part of a bundle into the Hub's cache, from which it can also be read without a network.

The manifest comes first. Then comes what it lists and nothing else, each file at the size that it is listed with.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from siit._text import shortened
from siit.bundle import EVIDENCE_FILE, INDEX_FILE, MANIFEST_FILE, WEIGHTS_FILE, BundleError, read_index
from siit.bundle.untrusted import CONFIG_FILE, MANIFEST_LIMIT, FileEntry, parse, read_file, read_manifest
from siit.graph.architecture import ModelConfig
from siit.hub.endpoint import checked_endpoint
from siit.hub.errors import REVISION, HubError, hub_errors
from siit.hub.guard import Guard, guarded

INDEX_LIMIT = 16 << 20
"""Bytes of the index."""
TOTAL_LIMIT = 2 << 30
"""Bytes of one model's files together."""
_WEIGHTS_OVERHEAD = 1 << 20
"""Bytes of names and shapes beside the weights themselves."""
_LARGE = (WEIGHTS_FILE, EVIDENCE_FILE)
_AT_ONCE = 8


def fetch_model(
    repo_id: str,
    place: str,
    *,
    whole: bool,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    endpoint: str | None = None,
) -> Path:
    """Downloads the index and one model's folder, as far as they are not in the cache; returns the snapshot's root.

    Where the index does not list the model, its folder is left alone.

    Args:
        repo_id: `<organization or user>/<name>`.
        place: the model's folder below the root, see `siit.bundle.seed_folder`.
        whole: whether weights and evidence are wanted, the two large files.
        revision: a branch, tag or commit; the main branch by default.
        cache_dir: where files are kept; the Hub client's own cache by default.
        endpoint: the Hub's address; HF_ENDPOINT or the public Hub by default.

    Raises:
        HubError: no such repository or revision, or neither the Hub nor the cache has it. Raised too where it is more
            than is accepted, or the Hub takes too long.
        BundleError: the index or the manifest is damaged; or a revision or `cache_dir` that can be none.
    """
    source = _Source(repo_id, revision, cache_dir, endpoint)
    root = source.root()
    if place not in {entry.path for entry in read_index(root, within=storage(root))}:
        return root
    source.get(place, {MANIFEST_FILE: None}, MANIFEST_LIMIT)
    listed = read_manifest(read_file(root / place / MANIFEST_FILE, storage(root), MANIFEST_LIMIT)).files
    total = sum(entry.size for entry in listed.values())
    if total > TOTAL_LIMIT:
        raise HubError(f"{repo_id}: {place}: size: found {total} bytes, accepted are {TOTAL_LIMIT} at most")
    source.get(place, {name: entry for name, entry in listed.items() if name not in _LARGE}, total)
    if whole:
        large = {name: listed[name] for name in _LARGE}
        _check_weights(root / place / CONFIG_FILE, storage(root), large[WEIGHTS_FILE].size)
        source.get(place, large, total)
    return root


def fetch_index(
    repo_id: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    endpoint: str | None = None,
) -> Path:
    """Downloads the index alone; returns the snapshot's root.

    Args:
        repo_id: `<organization or user>/<name>`.
        revision: a branch, tag or commit; the main branch by default.
        cache_dir: where files are kept; the Hub client's own cache by default.
        endpoint: the Hub's address; HF_ENDPOINT or the public Hub by default.

    Raises:
        HubError, BundleError: see `fetch_model`.
    """
    return _Source(repo_id, revision, cache_dir, endpoint).root()


def storage(snapshot: Path) -> Path:
    """Finds where the cache keeps a repository's files: a snapshot consists of links to them."""
    return snapshot.parent.parent


def _check_weights(config: Path, within: Path, size: int) -> None:
    """Raises BundleError where the weights are listed as larger than the architecture has them."""
    fields = parse(read_file(config, within, MANIFEST_LIMIT), CONFIG_FILE)
    names = ModelConfig.__dataclass_fields__
    try:
        shape = ModelConfig.from_json({name: value for name, value in fields.items() if name in names})
    except ValueError as error:
        raise BundleError(f"{CONFIG_FILE}: {error}") from error
    accepted = 4 * shape.n_parameters + _WEIGHTS_OVERHEAD
    if size > accepted:
        raise BundleError(
            f"{MANIFEST_FILE}: files.{WEIGHTS_FILE}.size: found {size}, accepted are {accepted} at most, by "
            f"{CONFIG_FILE}"
        )


class _Source:
    """A repository at a revision: the first call finds the commit, which the others keep to."""

    def __init__(self, repo_id: str, revision: str | None, cache_dir: str | Path | None, endpoint: str | None) -> None:
        if revision is not None and (not isinstance(revision, str) or not revision):
            raise BundleError(f"revision: found {shortened(revision)}, accepted is {REVISION}")
        if cache_dir is not None and not isinstance(cache_dir, (str, os.PathLike)):
            raise BundleError(f"cache_dir: found {shortened(cache_dir)}, accepted is a folder's path")
        self._repo_id, self._revision = repo_id, revision
        self._cache_dir, self._endpoint = cache_dir, checked_endpoint(endpoint)

    def root(self) -> Path:
        """Downloads the index, and returns the snapshot that it is in."""
        with self._guarded(INDEX_LIMIT) as guard:
            root = self._file(INDEX_FILE, guard).parent
        # From here on the branch may move without mixing two commits.
        self._revision = root.name
        return root

    def get(self, place: str, entries: Mapping[str, FileEntry | None], limit: int) -> None:
        """Downloads files of a model's folder, as far as the cache lacks them.

        Args:
            place: the folder.
            entries: name -> what the manifest says of it, None where nothing does.
            limit: bytes of all of them.
        """
        paths = {f"{place}/{name}": entry for name, entry in entries.items() if not self._has(f"{place}/{name}")}
        sizes = {path: entry.size for path, entry in paths.items() if entry is not None}
        if not paths:
            return
        with self._guarded(limit, sizes) as guard, ThreadPoolExecutor(_AT_ONCE) as threads:
            found = list(threads.map(lambda path: self._file(path, guard), paths))
        for path, entry in zip(found, paths.values(), strict=True):
            if entry is not None:
                _keep_if_true(path, entry, self._repo_id, place)

    @contextmanager
    def _guarded(self, limit: int, sizes: Mapping[str, int] | None = None) -> Iterator[Guard]:
        with hub_errors(self._repo_id, self._revision), guarded(self._repo_id, limit, sizes) as guard:
            yield guard

    def _file(self, path: str, guard: Guard) -> Path:
        # Only here: it takes half a second to import.
        from huggingface_hub import hf_hub_download

        return Path(
            hf_hub_download(
                self._repo_id,
                path,
                revision=self._revision,
                cache_dir=self._cache_dir,
                endpoint=self._endpoint,
                library_name="siit",
                user_agent={"download": guard.mark},
            )
        )

    def _has(self, path: str) -> bool:
        from huggingface_hub import try_to_load_from_cache

        return isinstance(
            try_to_load_from_cache(self._repo_id, path, cache_dir=self._cache_dir, revision=self._revision), str
        )


def _keep_if_true(path: Path, entry: FileEntry, repo_id: str, place: str) -> None:
    """Removes a file from the cache that is not what the manifest lists, so that it can be had again.

    Raises:
        HubError: it was another one.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest == entry.sha256:
        return
    for broken in (path.resolve(), path):
        if os.path.lexists(broken):
            broken.unlink()
    raise HubError(
        f"{repo_id}: {place}/{path.name}: sha256: found {digest}, accepted is {entry.sha256}, as the manifest lists; "
        "the file was removed from the cache"
    )
