"""Which files in a model's folder are a bundle's, and how far a link from there may lead."""

from __future__ import annotations

from pathlib import Path

_FOREIGN = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "__macosx", "lost+found"})
"""What systems put into folders by themselves, in lower case; all else of this sort begins with a point."""
_SNAPSHOTS, _BLOBS = "snapshots", "blobs"


def is_foreign(name: str) -> bool:
    """Tells what systems and editors leave in folders (`.DS_Store`, `.nfs...`, `Thumbs.db`) from a bundle's files.

    No file of a bundle begins with a point, so that nothing of one is taken for foreign.

    Args:
        name: of a file or folder within a model's folder.
    """
    return name.startswith(".") or name.lower() in _FOREIGN


def reach_of_root(root: Path) -> Path:
    """Finds how far links in a bundle's folder may lead: no further than that folder, or than its own repository.

    `huggingface_hub.snapshot_download` makes a folder `<repository>/snapshots/<commit>` of links to
    `<repository>/blobs`. There the repository's folder is the limit.

    Args:
        root: of a bundle.
    """
    real = root.resolve()
    repository = real.parent.parent
    if real.parent.name == _SNAPSHOTS and (repository / _BLOBS).is_dir():
        return repository
    return real


def reach_of_model(folder: Path) -> Path:
    """Finds how far links in a model's folder may lead: no further than it, or than the repository of a snapshot.

    Args:
        folder: `<root>/<case>/seed-<n>`, or a copy of such a folder.
    """
    real = folder.resolve()
    root = real.parent.parent
    reach = reach_of_root(root)
    return real if reach == root else reach
