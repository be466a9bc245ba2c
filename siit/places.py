"""Finds a model's folder, or says in one line which one may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from siit._command_line import suggestion
from siit._text import listed
from siit.bundle import MANIFEST_FILE, BundleError, find_folders
from siit.starter import STARTER, with_starter

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SEED = "seed-"
_LISTED = 20
"""Models that an error names."""


def is_repository_id(name: str | Path) -> bool:
    """Tells whether a name can be a repository's on the Hub: text with exactly one slash, `org/name`."""
    return isinstance(name, str) and _REPOSITORY.fullmatch(name) is not None


def model_folder(path: Path) -> Path:
    """Returns a path that can be a model's folder.

    A path that is neither there nor near anything is returned too: reading it says what is missing. One that begins
    with `starter` is in the starter release.

    Raises:
        BundleError: it is a case's or a bundle's folder, or one with a nearly right name is there; suggests models.
    """
    path = with_starter(path)
    if (path / MANIFEST_FILE).exists():
        return path
    found = f"folder: found {path}"
    if seeds := _seeds(path):
        raise BundleError(f"{found}, the folder of a case, accepted is a model's; did you mean {_or(seeds)}?")
    if path.is_dir() and (models := find_folders(path)):
        raise BundleError(f"{found}, the folder of a bundle, accepted is a model's, one of {listed(models, _LISTED)}")
    if not path.exists() and (near := _near(path)) is not None:
        meant = _or(_seeds(near) or [near])
        raise BundleError(f"{found}, which is not there, accepted is a model's folder; did you mean {meant}?")
    return path


def no_models(root: Path) -> BundleError:
    """Makes the error for what should be a bundle's folder and has no models; says what it is instead."""
    if (root / MANIFEST_FILE).exists():
        what = f", the folder of a model; did you mean {root.absolute().parent.parent}?"
    elif _seeds(root):
        what = f", the folder of a case; did you mean {root.absolute().parent}?"
    elif root.is_dir():
        what = ", a folder without models"
    elif root.exists():
        what = ", a file"
    else:
        near = _near(root)
        what = ", which is not there" + (f"; did you mean {near}?" if near is not None else "")
    return BundleError(f"bundle: found {root}{what}; accepted is a folder of <case>/seed-<n>")


def no_such_root(name: str | Path) -> BundleError:
    """Makes the error for what is neither a bundle's folder nor a repository's id."""
    hint = root_hint(name)
    return BundleError(
        f"root_or_repo: found {str(name)!r}; {hint}accepted are a bundle's folder, such as 'checkpoints', {STARTER!r}, "
        "and a repository's id on the Hub, 'org/name'; there is no folder of this name, and it is no such id"
    )


def root_hint(name: str | Path) -> str:
    """Words "did you mean ...? " with a folder of a nearly right name; empty where there is none."""
    near = _near(Path(name))
    return f"did you mean {str(near)!r}? " if near not in (None, Path(name)) else ""


def no_such_model(where: str, case: str, seed: int, there: Sequence[tuple[str, int]]) -> BundleError:
    """Makes the error for a model that a bundle lacks.

    Args:
        where: names the bundle or its index.
        case, seed: what was asked for.
        there: case and seed of each model that there is.
    """
    found = f"{where}: case, seed: found no {case}/{_SEED}{seed}"
    if not there:
        root = Path(where)
        inside = f"; this is the folder of a case: did you mean {str(root.parent)!r}?" if _seeds(root) else ""
        return BundleError(f"{found}, accepted are none: there are no models here{inside}")
    cases = list(dict.fromkeys(name for name, _ in there))
    same = [f"{name}/{_SEED}{number}" for name, number in there if name == case]
    if same:
        return BundleError(f"{found}, accepted are {listed(same, _LISTED)}")
    models = listed([f"{name}/{_SEED}{number}" for name, number in there], _LISTED)
    return BundleError(f"{found}; {suggestion(case, cases)}accepted are {models}")


def _seeds(path: Path) -> list[Path]:
    """The models of a case, where this is its folder."""
    return [model for model in sorted(path.glob(f"{_SEED}*")) if (model / MANIFEST_FILE).exists()]


def _near(path: Path) -> Path | None:
    """A folder that is there, each part of whose path is the given one or nearly so."""
    place = Path(path.anchor) if path.anchor else Path()
    for part in path.parts[1:] if path.anchor else path.parts:
        if not (place / part).exists():
            try:
                folders = [entry.name for entry in place.iterdir() if entry.is_dir()]
            except OSError:
                return None
            # Another seed is another model, however like its name: all are suggested.
            if part.startswith(_SEED) and _seeds(place):
                return place
            close = difflib.get_close_matches(part, folders, n=1)
            if not close:
                return None
            part = close[0]
        place /= part
    return place


def _or(paths: Sequence[Path]) -> str:
    return " or ".join(map(str, paths[:_LISTED]))
