"""Downloading a part of a bundle into the Hub's cache, from which it can also be read without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siit.bundle import EVIDENCE_FILE, INDEX_FILE, WEIGHTS_FILE
from siit.hub.errors import hub_errors

_KINDS = ("*.json", "*.safetensors", "*.yaml", "*.txt", "*.md")
"""What a model's folder may hold; nothing else is even downloaded."""


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

    Args:
        repo_id: `<organization or user>/<name>`.
        place: the model's folder below the root, see `siit.bundle.seed_folder`.
        whole: whether weights and evidence are wanted, the two large files.
        revision: a branch, tag or commit; the main branch by default.
        cache_dir: where files are kept; the Hub client's own cache by default.
        endpoint: the Hub's address; HF_ENDPOINT or the public Hub by default.

    Raises:
        HubError: no such repository or revision, or neither the Hub nor the cache has it.
    """
    skipped = [] if whole else [f"{place}/{name}" for name in (WEIGHTS_FILE, EVIDENCE_FILE)]
    patterns = [INDEX_FILE, *(f"{place}/{kind}" for kind in _KINDS)]
    return _fetch(repo_id, patterns, skipped, revision, cache_dir, endpoint)


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
        HubError: see `fetch_model`.
    """
    return _fetch(repo_id, [INDEX_FILE], [], revision, cache_dir, endpoint)


def storage(snapshot: Path) -> Path:
    """Finds where the cache keeps a repository's files: a snapshot consists of links to them."""
    return snapshot.parent.parent


def _fetch(
    repo_id: str,
    patterns: Sequence[str],
    skipped: Sequence[str],
    revision: str | None,
    cache_dir: str | Path | None,
    endpoint: str | None,
) -> Path:
    # Only here: it takes half a second to import.
    import huggingface_hub

    with hub_errors(repo_id, revision):
        folder = huggingface_hub.snapshot_download(
            repo_id,
            revision=revision,
            cache_dir=cache_dir,
            endpoint=endpoint,
            allow_patterns=list(patterns),
            ignore_patterns=list(skipped),
        )
    return Path(folder)
