"""Whole suites of tiny models: one that fails among others, one that is killed, and what is left in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from siit.suite.outcomes import ALLOWED, FAILED
from siit.suite.report import write_report
from tests.builders.runs import SMALL

JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
PLAIN = [text for text in SMALL if not text.startswith("case=")]


def command(out: Path, *overrides: str) -> list[str]:
    return [sys.executable, "-m", "siit", "suite", *PLAIN, f"out={out}", *overrides]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def suite(out: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(out, *overrides), env=ENVIRONMENT, cwd=out.parent, capture_output=True, text=True, check=False
    )


def models(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "suite.json").read_text())["models"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", [pytest.param([], marks=pytest.mark.ci, id="basic"), pytest.param(JOBLIB, id="joblib")]
)
def test_one_that_fails_stops_no_other(tmp_path: Path, launcher: list[str]):
    """A folder of another configuration is in the way of the one in the middle."""
    out = tmp_path / "it's out"
    if launcher:
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    (out / "frac_prevs/seed-0").mkdir(parents=True)
    done = suite(out, "case=square,frac_prevs,caesar_shift", "trainer.max_steps=10", *launcher)
    assert done.returncode == 2 and done.stderr == "", done.stderr
    assert [(model["case"], model["outcome"]) for model in models(out)] == [
        ("caesar_shift", ALLOWED),
        ("frac_prevs", "damaged"),
        ("square", ALLOWED),
    ]
    lines = done.stdout.splitlines()
    assert lines[0].startswith("3 models into ") and "3 of 3 done: 2 not certified, as allowed, 1 failed" in done.stdout
    assert any(line.startswith("frac_prevs, seed 0: failed (") and "found a damaged model" in line for line in lines)
    assert "step 10" not in done.stdout, "what a job says is in its log"
    logs = sorted((out / ".runs/sweeps").glob("*/*.txt"))
    assert len(logs) == 3 and any("step 10" in log.read_text() for log in logs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it's out"], "nothing is left in the working folder"


@pytest.mark.slow
def test_one_that_was_killed_ends_with_the_same_models(tmp_path: Path):
    """Killed when the first model is there, and the second is begun, or about to be."""
    overrides = ["case=square,frac_prevs", "trainer.max_steps=100"]
    assert suite(tmp_path / "whole", *overrides).returncode == 0
    killed = tmp_path / "killed"
    with subprocess.Popen(command(killed, *overrides), env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (killed / "frac_prevs/seed-0/manifest.json").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (killed / "suite.json").exists()
    planned = [("frac_prevs", 0), ("square", 0)]
    assert [(model.case, model.seed) for model in write_report(killed, pages=False, say=print)] == planned
    done = suite(killed, *overrides)
    assert done.returncode == 0, done.stderr
    assert "frac_prevs, seed 0: not certified, as allowed, was there already" in done.stdout
    whole, again = models(tmp_path / "whole"), models(killed)
    for model in (*whole, *again):
        del model["cpu_seconds"]
    assert whole == again and all(model["weights_sha256"] for model in whole)


@pytest.mark.slow
def test_what_is_not_certified_is_listed_with_its_diagnosis(tmp_path: Path):
    done = suite(tmp_path / "out", "case=square", "allow_uncertified=false", "trainer.max_steps=10")
    assert done.returncode == 1, done.stderr
    (model,) = models(tmp_path / "out")
    assert (model["outcome"], model["steps"], model["path"]) == ("not certified", 10, None)
    assert model["failed"][0].startswith("accuracy: ") and model["diagnosis"][0].startswith("worst interchange: ")
    assert FAILED not in done.stdout and model["diagnosis"][0] in done.stdout
