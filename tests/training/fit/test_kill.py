"""Runs killed at random moments end with the numbers of a run that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import siit
from tests.builders.runs import SMALL


@pytest.mark.parametrize("kills", [pytest.param(2, marks=pytest.mark.slow), pytest.param(10, marks=pytest.mark.long)])
def test_a_run_killed_at_random_moments_ends_as_it_would_have(tmp_path: Path, kills: int) -> None:
    command = [sys.executable, "-m", "siit.train", *SMALL, "trainer.max_steps=400"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    subprocess.run([*command, f"out={tmp_path / 'whole'}"], check=True, env=environment, capture_output=True)
    span = time.monotonic() - started
    draw = random.Random(0)
    for _ in range(kills):
        with subprocess.Popen(
            [*command, f"out={tmp_path / 'killed'}"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                process.wait(draw.uniform(0.2, 0.95) * span)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    done = subprocess.run(
        [*command, f"out={tmp_path / 'killed'}"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    whole = siit.load(tmp_path / "whole", "frac_prevs").model.state_dict()
    killed = siit.load(tmp_path / "killed", "frac_prevs").model.state_dict()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
