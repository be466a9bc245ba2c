"""Lets one process at a time train a model: a lock on its run's folder for as long as the run lasts."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from siit._text import one_line
from siit.training.fit.checkpoints import TrainingError

LOCK, LOCK_FILE = ".lock", ".locked-by"
"""What is locked; and, where the file system has no locks, the file whose existence is the lock."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Locked(TrainingError):
    """Another process trains this model; the message says which, and what to do."""


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Holds the lock of a run's folder, which is made if need be.

    Args:
        folder: `<out>/.runs/<case>/seed-<seed>`.

    Raises:
        Locked: another process holds it. OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a+", encoding="utf-8", errors="replace") as file:
        if _lock(file):
            file.truncate(0)
            file.write(_holder())
            file.flush()
            # The system releases the lock together with the file, however the process ends.
            yield
            return
    with _lock_file(folder / LOCK_FILE):
        yield


def _lock(file: Any) -> bool:
    """Locks an open file without waiting; False where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise Locked(_held(Path(file.name).parent, file.read(200))) from error
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[None]:
    """Holds a lock that is a file's existence, which outlives a process that is killed."""
    for attempt in range(2):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            holder = path.read_text(errors="replace")[:200]
            if attempt or not _is_dead(holder):
                raise Locked(
                    f"{_held(path.parent, holder)}; this file system has no locks: if it has ended, delete {path}"
                ) from None
            path.unlink(missing_ok=True)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(_holder())
        yield
    finally:
        path.unlink(missing_ok=True)


def _holder() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _held(folder: Path, holder: str) -> str:
    who = one_line(holder) or "unnamed"
    return f"{folder}: another process is training this ({who}); wait for it, or end it"


def _is_dead(holder: str) -> bool:
    """Whether the process that holds a lock was one of this machine, and is no more."""
    words = holder.split()
    if len(words) != 4 or not words[1].isdigit() or words[3] != socket.gethostname():
        return False
    try:
        os.kill(int(words[1]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
