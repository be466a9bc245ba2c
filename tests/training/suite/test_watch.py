"""The watcher shows what the sweep's folder holds: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from siit.suite.outcomes import CERTIFIED, FAILED, Outcome
from siit.training.suite.log import job_log, last_check, log_file
from siit.training.suite.progress import SuiteJob
from siit.training.suite.watch import Watcher

CHECK = "step 1,000: everything: worst subset 0.9980 of 0.999; loss 0.04; 18.1 steps/s, at most 8 min more"


class Terminal(io.StringIO):
    """A stream that says that a terminal shows it."""

    def isatty(self) -> bool:
        return True


def until(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def watched(folder: Path, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Shows two jobs: the first begins, checks and ends, the second fails while nobody looks."""
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    watcher = Watcher(folder, {0: SuiteJob("reverse", 0, False), 1: SuiteJob("square", 0, False)}, every=0.01)
    watcher.start()
    first = Outcome(0, "reverse", 0, (), began=time.time())
    first.write(folder)
    log_file(folder, 0).write_text(f"reverse, seed 0: training\nreverse, seed 0: {CHECK}\nsomething else\n")
    until(lambda: "reverse, seed 0" in stream.getvalue())
    Outcome(0, "reverse", 0, (), CERTIFIED, "", 1000, 99.0, took=100.0).write(folder)
    until(lambda: "1 of 2 done" in stream.getvalue())
    Outcome(1, "square", 0, (), FAILED, "[red]no").write(folder)
    watcher.end()
    return stream.getvalue()


def test_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = watched(tmp_path, io.StringIO(), monkeypatch).splitlines()
    assert lines[0] == "reverse, seed 0: started"
    assert lines[1] == "reverse, seed 0: certified, 1,000 steps, 2 min"
    assert lines[2].startswith("1 of 2 done: 1 certified; 0 running; about ")
    assert lines[3:] == ["square, seed 0: failed ([red]no)", "2 of 2 done: 1 certified, 1 failed; 0 running"]


def test_a_live_table_below_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shown = watched(tmp_path, Terminal(), monkeypatch)
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    assert "0 of 2 done; 1 running" in text and re.search(r"reverse, seed 0 +│ +0 s │ step 1,000: everything", text)
    assert "reverse, seed 0: certified, 1,000 steps, 2 min" in text and "started" not in text
    assert "\x1b[?25h" in shown, "the cursor is back"


def test_the_last_check_of_a_log(tmp_path: Path):
    assert last_check(tmp_path, 0) == ""
    with job_log(tmp_path, 0):
        print("before")
    assert last_check(tmp_path, 0) == ""
    with job_log(tmp_path, 0):
        print("step 1,000: cut off" + 5000 * "\n")
        print(f"a, seed 0: {CHECK}")
        kept = sys.stdout
    assert last_check(tmp_path, 0) == CHECK
    kept.write("what a library writes to it later")
    assert log_file(tmp_path, 0).read_text().startswith("before\nstep 1,000")
