"""One process at a time trains a model, on file systems with locks and without."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from siit.train import train
from siit.training.fit.checkpoints import TrainingError
from siit.training.fit.lock import LOCK_FILE, Locked, run_lock
from tests.builders.runs import Compose

HOLD = """
import sys
from pathlib import Path
from siit.training.fit.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.slow
@pytest.mark.ci
def test_another_process_is_named_and_nothing_is_written(composed: Compose, tmp_path: Path) -> None:
    folder = tmp_path / ".runs" / "frac_prevs" / "seed-0"
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match=f"another process is training this .process {other.pid} on ") as caught:
            train(composed())
        assert "\n" not in str(caught.value)
        assert [path.name for path in folder.iterdir()] == [".lock"]
        other.kill()
    with run_lock(folder):
        pass  # killed as it was, it holds nothing


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_file_is_the_lock(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        holder = (tmp_path / LOCK_FILE).read_text()
        assert holder == f"process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(Locked, match=f"{holder}.*delete .*{LOCK_FILE}"), run_lock(tmp_path):
            pass
    assert not (tmp_path / LOCK_FILE).exists()


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("holder", ["process 5 on another-machine", "", "process x on y", "\x1b[31m odd"])
def test_the_lock_file_of_who_knows_whom_is_left(tmp_path: Path, holder: str) -> None:
    (tmp_path / LOCK_FILE).write_text(holder)
    with pytest.raises(Locked, match=r"if it has ended, delete") as caught, run_lock(tmp_path):
        pass
    assert str(caught.value).isprintable() and (tmp_path / LOCK_FILE).read_text() == holder


@pytest.mark.usefixtures("no_locks")
def test_the_lock_file_of_a_process_that_is_dead_is_none(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    (tmp_path / LOCK_FILE).write_text(f"process {dead.pid} on {socket.gethostname()}")
    with run_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / LOCK_FILE).read_text()
