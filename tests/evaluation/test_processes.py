"""Jobs that several processes share."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

import pytest

from siit.evaluation import Evaluation
from siit.evaluation.__main__ import main
from siit.evaluation.files import read_results
from siit.evaluation.processes import KILLED, shared
from tests.builders.discovery import DATA

METHODS = """\
import os, signal, time

def ends(task):
    os.kill(os.getpid(), signal.SIGKILL)

def waits(task):
    time.sleep(600)
"""


def square(number: int) -> int:
    return number**2


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_each_job_is_done_once(processes: int):
    assert dict(shared(square, {number: number for number in range(5)}, processes)) == {n: n**2 for n in range(5)}
    assert list(shared(square, {}, processes)) == []


@pytest.mark.slow
def test_of_a_process_that_is_killed_it_is_said_so():
    assert dict(shared(die, {0: 0, 1: 1}, 2)) == {0: KILLED, 1: KILLED}


@pytest.mark.slow
def test_nothing_runs_on_where_nobody_listens():
    ending = shared(time.sleep, {0: 0.0, 1: 600.0, 2: 600.0}, 2)
    before = set(multiprocessing.active_children())
    next(ending)
    started = set(multiprocessing.active_children()) - before
    assert started
    ending.close()
    # Not by `join`: the pool's own thread joins them too, and to the second that asks, one that ended seems to run on.
    assert all(connection.wait([process.sentinel], 20) for process in started)


def without_times(one: Evaluation) -> Evaluation:
    return dataclasses.replace(one, seconds=0.0)


@pytest.mark.slow
@pytest.mark.ci
def test_processes_find_what_one_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = [str(DATA), "method=eap,structure,hisp", "n_pairs=4"]
    assert main([*command, f"out={tmp_path / 'one'}"]) == 0
    assert main([*command, f"out={tmp_path / 'two'}", "jobs=2"]) == 0
    one, two = (read_results(tmp_path / name / "results.json") for name in ("one", "two"))
    assert list(map(without_times, one.evaluations)) == list(map(without_times, two.evaluations))
    capsys.readouterr()
    assert main([*command, f"out={tmp_path / 'two'}", "jobs=2"]) == 0
    assert capsys.readouterr().out.count("(done before)") == 3


@pytest.mark.slow
def test_jobs_that_were_lost_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "methods_that_end.py").write_text(METHODS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main([str(DATA), "method=methods_that_end:ends", "n_pairs=4", "jobs=2"]) == 1
    assert f"methods_that_end:ends permuted resample seed=0: {KILLED}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("to", "what", "status", "told"),
    [
        (os.kill, signal.SIGINT, 130, "siit.evaluate: error: interrupted; the same command goes on from here\n"),
        # As a terminal's Ctrl-C is.
        (os.killpg, signal.SIGINT, 130, "siit.evaluate: error: interrupted; the same command goes on from here\n"),
        (os.kill, signal.SIGTERM, -signal.SIGTERM, None),
        (os.kill, signal.SIGKILL, -signal.SIGKILL, None),
    ],
)
def test_an_interruption_ends_all_processes(
    to: Callable[[int, int], None], what: int, status: int, told: str | None, tmp_path: Path
):
    """That of the first process alone, and that of all."""
    (tmp_path / "methods_that_end.py").write_text(METHODS)
    command = [sys.executable, "-m", "siit", "evaluate", str(DATA), "method=structure,methods_that_end:waits"]
    running = subprocess.Popen(
        [*command, "n_pairs=4", "jobs=2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    assert "structure" in running.stdout.readline()
    to(running.pid, what)
    # All that hold the pipes have ended.
    _, complaint = running.communicate(timeout=60)
    assert running.returncode == status
    assert told is None or complaint == told
