"""Gives each job of a suite a log of its own, for the terminal belongs to the table of them all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO, cast

from siit._console import Steady

_CHECK = re.compile(r"\bstep [\d,]+: .*$", re.MULTILINE)
_TAIL = 4096
"""Bytes of a log in which its last check is looked for."""


def log_file(folder: Path, job: int) -> Path:
    """Tells where a job's log is, in the sweep's folder."""
    return folder / f"{job}.txt"


@contextmanager
def job_log(folder: Path, job: int) -> Iterator[None]:
    """Sends all that this process prints to a job's log, as long as the job lasts."""
    with open(log_file(folder, job), "a", encoding="utf-8", errors="replace", buffering=1) as file:
        # What a library keeps of it goes silent when the file is closed.
        stream = cast(TextIO, Steady(file))
        with redirect_stdout(stream), redirect_stderr(stream):
            yield


def last_check(folder: Path, job: int) -> str:
    """Finds the last line of a job's log that tells of a step; empty where there is none."""
    try:
        with open(log_file(folder, job), "rb") as file:
            file.seek(max(file.seek(0, 2) - _TAIL, 0))
            found = _CHECK.findall(file.read().decode(errors="replace"))
    except OSError:
        return ""
    return str(found[-1]) if found else ""
