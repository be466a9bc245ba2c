"""One uninterrupted run, for all tests that only look at what it left."""

from __future__ import annotations

from pathlib import Path

import pytest

from siit.train import train
from tests.builders.runs import compose_small


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root below which the small run, of 30 steps, has left its bundle and its folder; nobody may write there."""
    root = tmp_path_factory.mktemp("small_run")
    train(compose_small(f"out={root}"))
    return root
