"""What stops a run, Ctrl-C or the end of a cluster's job, leaves a checkpoint from which the same command goes on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import siit
from siit.train import train
from siit.training.configuration.settings import ConfigError, read_settings
from siit.training.fit.loop import make_trainer
from tests.builders.runs import SMALL, Compose

STEPS = "trainer.max_steps=150"
"""Many more than are done between the first checkpoint and the signal."""


def logged(root: Path) -> list[int]:
    """Lists the steps of which a run has kept metrics."""
    with (root / ".runs" / "frac_prevs" / "seed-0" / "metrics.csv").open() as metrics:
        return [int(row["step"]) for row in csv.DictReader(metrics)]


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGINT, 130, "siit.train: interrupted;"), (signal.SIGTERM, 143, "siit.train: terminated;")],
)
def test_a_stopped_run_says_so_and_ends_as_it_would_have(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, status: int, said: str
) -> None:
    checkpoint = tmp_path / ".runs" / "frac_prevs" / "seed-0" / "last.ckpt"
    with subprocess.Popen(
        [sys.executable, "-m", "siit.train", *SMALL, STEPS, f"out={tmp_path}"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not checkpoint.exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.send_signal(number)
        assert process.stderr is not None
        error = ""
        while said not in error:
            line = process.stderr.readline()
            assert line, error
            error += line
        process.send_signal(number)  # a cluster, or an impatient person
        error += process.communicate()[1]
    assert (process.returncode, error.splitlines()[-1:]) == (
        status,
        [f"{said} the same command goes on from the last check"],
    )
    assert checkpoint.exists()

    train(composed(STEPS))
    assert "resumed at step" in capsys.readouterr().out, "it started anew"
    train(composed(STEPS, f"out={tmp_path / 'whole'}"))
    steps = logged(tmp_path)
    assert steps == sorted(set(steps)) == logged(tmp_path / "whole"), "all of them, once"
    stopped, whole = (siit.load(root, "frac_prevs").model.state_dict() for root in (tmp_path, tmp_path / "whole"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_a_job_of_slurm_is_like_any_other_process(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_NAME", "sweep")
    monkeypatch.setenv("SLURM_NTASKS", "4")  # which Lightning's own environment for SLURM refuses
    assert make_trainer(read_settings(composed()), tmp_path, []).world_size == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_named(composed: Compose, tmp_path: Path) -> None:
    settings = read_settings(composed("trainer.accelerator=gpu", "trainer.devices=[1]"))
    with pytest.raises(ConfigError, match=r"trainer.accelerator, trainer.devices: found 'gpu', \[1\]"):
        make_trainer(settings, tmp_path, [])
