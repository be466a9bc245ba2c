"""The real configuration, shrunk."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import DictConfig

from tests.builders.runs import Compose, compose_small


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    """Composes the real configuration at a small size, with overrides, to write to the test's own folder."""

    def composed_here(*overrides: str) -> DictConfig:
        config = compose_small(*overrides)
        if not any(override.startswith("out=") for override in overrides):
            config.out = str(tmp_path)
        return config

    return composed_here
