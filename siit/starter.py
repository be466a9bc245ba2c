"""Finds the starter release: the certified models that come with this package, under the name `starter`."""

from __future__ import annotations

import os
from pathlib import Path

from siit._text import shortened
from siit.bundle import INDEX_FILE, BundleError

STARTER = "starter"
"""The name by which it is loaded: `siit.load("starter", "ioi")`, `siit show starter/ioi/seed-0`."""
_PACKAGE = Path(__file__).parent
_PLACES = (_PACKAGE / "starter_models", _PACKAGE.parent / "checkpoints")
"""Where a wheel has it, and where a checkout has it; what was trained there since is found too."""


def with_starter(path: str | Path) -> Path:
    """Replaces the name of the starter release at the head of a path by its folder; a folder of that name goes first.

    Raises:
        BundleError: this installation has no starter release; or what is given is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise BundleError(f"root_or_repo: found {shortened(path)}, accepted is a folder, or a repository, 'org/name'")
    path = Path(path)
    if path.is_absolute() or path.parts[:1] != (STARTER,) or Path(STARTER).exists():
        return path
    return starter_folder().joinpath(*path.parts[1:])


def starter_folder() -> Path:
    """Returns the folder of the starter release, a bundle.

    Raises:
        BundleError: this installation has none.
    """
    for place in _PLACES:
        if (place / INDEX_FILE).is_file():
            return place
    raise BundleError(
        f"{STARTER}: found no {INDEX_FILE} in {_PLACES[0]}, where a wheel has the starter release, nor in "
        f"{_PLACES[1]}, where a checkout has it; accepted is an installation with one of them"
    )
