"""The comparison of a model with its twins, on the certified model of the tests."""

from __future__ import annotations

import pytest

from scripts.realism import NATURAL, SIIT, TRACR, compared, summary
from tests.builders.discovery import certified


def test_a_model_beside_its_twins():
    """The model itself, in the place of a natural twin, is like itself."""
    found = compared(certified(), {NATURAL: certified()}, 32)
    assert list(found.portraits) == [SIIT, TRACR, NATURAL]
    assert found.order[f"{SIIT} and {NATURAL}"]["exact"][0] == pytest.approx(1.0)
    assert found.precision.keys() == {SIIT, TRACR} and found.precision[TRACR]["exact"][0] == 1.0
    assert found.portraits[TRACR].overlap == pytest.approx(0.0) and found.portraits[TRACR].right == 1.0
    assert summary([found]).count("| frac_prevs | Tracr |") == 2
