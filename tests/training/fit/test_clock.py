"""The clock of a run."""

from __future__ import annotations

import time

import pytest

from siit.training.fit.clock import Clock


def test_it_counts_what_it_ran_over_interruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"wall": 100.0, "cpu": 10.0}
    monkeypatch.setattr(time, "monotonic", lambda: now["wall"])
    monkeypatch.setattr(time, "process_time", lambda: now["cpu"])
    first = Clock()
    now.update(wall=150.0, cpu=15.0)
    assert first.read() == {"wall": 0, "cpu": 0}, "it stands still"
    first.start()
    now.update(wall=160.0, cpu=18.0)
    saved = first.read()
    assert saved == {"wall": 10, "cpu": 3}
    now.update(wall=165.0, cpu=19.0)  # lost: the run dies here
    resumed = Clock()
    resumed.restore(saved)
    resumed.start()
    now.update(wall=167.0, cpu=20.0)
    resumed.stop()
    now.update(wall=190.0, cpu=29.0)
    assert resumed.read() == {"wall": 12, "cpu": 4}
