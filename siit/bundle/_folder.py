"""Folders that appear, and are replaced, whole or not at all, whatever is killed and when.

All changes below one root are made under one lock, `<root>/.lock`, which the system releases when its holder dies.
So a temporary folder found under the lock has no living writer, and is removed. A new folder is written beside its
place and renamed into it. An existing one is swapped for it in a single step where the system can (Linux). Other
systems set the old one aside first. A folder found set aside with nothing in its place is put back, by writers and by
readers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from siit.bundle._errors import wrong

_LOCK = ".lock"
_NEW, _OLD = ".bundle-new-", ".bundle-old-"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Waits until this process alone may change what lies below `root`, which is made if need be."""
    # Only writers need it, and only Unix has it.
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    with open(root / _LOCK, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def recover(root: Path) -> None:
    """Under the lock: ends or undoes what a dead writer began."""
    for old in root.glob(f"*/{_OLD}*"):
        place = old.with_name(old.name.removeprefix(_OLD))
        if place.exists():
            _remove(old)
        else:
            os.rename(old, place)
    for new in root.glob(f"*/{_NEW}*"):
        _remove(new)


def recover_folder(folder: Path) -> None:
    """Puts a folder back that a writer set aside, where it died before the new one was in its place."""
    if not folder.exists() and folder.with_name(_OLD + folder.name).exists():
        with locked(folder.parent.parent):
            recover(folder.parent.parent)


def put_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Under the lock: writes a folder, replacing what is there; the files are written in the order given."""
    folder.parent.mkdir(exist_ok=True)
    new = folder.with_name(f"{_NEW}{folder.name}-{uuid.uuid4().hex}")
    new.mkdir()
    try:
        for name, data in files.items():
            _write(new / name, data)
        _sync_folder(new)
        if not os.path.lexists(folder):
            os.rename(new, folder)
        elif not _exchange(new, folder):
            old = folder.with_name(_OLD + folder.name)
            os.rename(folder, old)
            os.rename(new, folder)
            _remove(old)
        _sync_folder(folder.parent)
    finally:
        # After an interchange this is what was replaced.
        _remove(new)


def set_aside(folder: Path) -> Path:
    """Moves a model's folder out of the way, to the first free `<name>.damaged-<n>` beside it; gives that place."""
    with locked(folder.parent.parent):
        number = 1
        while os.path.lexists(place := folder.with_name(f"{folder.name}.damaged-{number}")):
            number += 1
        os.rename(folder, place)
        _sync_folder(folder.parent)
    return place


def try_folder(folder: Path) -> None:
    """Under the lock: writes a folder beside a model's place and removes it, so that what forbids it comes out.

    Args:
        folder: a model's place.

    Raises:
        OSError: the case's folder cannot be made, or written.
    """
    made = not folder.parent.exists()
    folder.parent.mkdir(exist_ok=True)
    new = folder.with_name(f"{_NEW}{folder.name}-{uuid.uuid4().hex}")
    try:
        new.mkdir()
        _write(new / "empty", b"")
    finally:
        _remove(new)
        if made:
            folder.parent.rmdir()


def put_file(path: Path, data: bytes) -> None:
    """Under the lock: writes a file, replacing what is there in one step."""
    new = path.with_name(f".{path.name}.new")
    _write(new, data)
    os.replace(new, path)
    _sync_folder(path.parent)


def read_file(path: Path, within: Path, limit: int) -> bytes:
    """Reads the content of a regular file of at most `limit` bytes; a symbolic link may lead to one inside `within`.

    Raises:
        BundleError: missing, no regular file, too large, or led out of `within`.
    """
    name = path.name
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise wrong(name, "file", f"{type(error).__name__}", f"a regular file in {path.parent}") from error
    if not real.is_relative_to(within.resolve()):
        raise wrong(name, "file", f"a link to {real}", f"a regular file in {within}")
    if not real.is_file():
        raise wrong(name, "file", "a folder or a special file", "a regular file")
    try:
        with open(real, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise wrong(name, "file", f"{type(error).__name__}: {error.strerror}", "a file that can be read") from error
    if len(data) > limit:
        raise wrong(name, "size", f"more than {limit} bytes", f"at most {limit} bytes")
    return data


def _remove(path: Path) -> None:
    """Removes a folder, or the file or link that was in a folder's place; nothing where nothing is."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> bool:
    """Interchanges two folders in one step; False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    arguments = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return bool(renameat2(*arguments) == 0)
