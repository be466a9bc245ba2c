"""The real configuration, shrunk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.runs import Compose, compose_small


@pytest.fixture
def composed(tmp_path: Path) -> Compose:
    """Composes the real configuration at a small size, with overrides, to write to the test's own folder."""
    return lambda *overrides: compose_small(f"out={tmp_path}", *overrides)
