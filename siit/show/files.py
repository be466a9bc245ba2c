"""The folder that the pictures are put into: all of them or none, and never into a model's folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from siit.bundle import MANIFEST_FILE


def check_out(folder: Path) -> None:
    """Raises ValueError where nothing can be put, or may be: a model's folder holds only what its manifest lists."""
    ground = next(place for place in (folder, *folder.parents, Path()) if place.exists())
    if not ground.is_dir():
        raise ValueError(f"out: found {ground}, a file, accepted is a folder, which is made if need be")
    if not os.access(ground, os.W_OK | os.X_OK):
        raise ValueError(f"out: found {ground}, where nothing can be written, accepted is a folder that can be written")
    place = folder.resolve()
    for above in (place, *place.parents):
        if (above / MANIFEST_FILE).exists():
            raise ValueError(
                f"out: found {folder}, inside the model's folder {above}, which may hold only what its "
                f"{MANIFEST_FILE} lists, accepted is another folder"
            )


def put_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Writes files into a folder, which is made if need be; others in it stay. Returns their paths.

    They are written beside their places first, so that a full disk leaves what was there.

    Raises:
        ValueError: see `check_out`, or the folder cannot be written.
    """
    check_out(folder)
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    drafts = {name: folder / f".{name}.{uuid.uuid4().hex}" for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            drafts[name].write_bytes(data)
        for name, draft in drafts.items():
            os.replace(draft, folder / name)
    except OSError as error:
        _undo(list(drafts.values()), missing)
        raise ValueError(
            f"out: found {folder} ({error.strerror or error}), accepted is a folder that can be written"
        ) from error
    except BaseException:
        _undo(list(drafts.values()), missing)
        raise
    return [folder / name for name in files]


def _undo(drafts: list[Path], made: list[Path]) -> None:
    """Removes what was begun, and the folders that were made for it, the inner ones first, if nothing is in them."""
    for draft in drafts:
        try:
            draft.unlink(missing_ok=True)
        except OSError:
            continue
    for folder in made:
        try:
            folder.rmdir()
        except OSError:
            break
