"""Mean curves: what is under them is what rankings have."""

from __future__ import annotations

import numpy as np
import pytest

from siit.leaderboard.curves import GRID, mean_precision, mean_roc
from siit.scoring.ranking import rank

LABELS = np.array([True, False, True, False, False])
ONE = rank(LABELS, np.array([5.0, 4.0, 3.0, 2.0, 1.0]))
"""Precision is 1 up to a recall of 1/2, then 2/3; a half is found at no false positive, all at one in three."""


def test_precision_by_hand():
    found = mean_precision([ONE])
    assert found[:51] == pytest.approx(np.ones(51)) and found[51:] == pytest.approx(np.full(50, 2 / 3))


def test_roc_by_hand():
    found = mean_roc([ONE])
    # From a half at none false upwards: the second comes after one in three, straight up there.
    assert found[0] == 0.5 and found[50] == 1.0
    assert found[20] == pytest.approx(0.5 + 0.5 * 0.2 * 3)


def test_of_equal_scores_curves_are_chance():
    flat = rank(LABELS, np.zeros(5))
    assert mean_precision([flat]) == pytest.approx(np.full(101, 2 / 5))
    assert mean_roc([flat]) == pytest.approx(GRID)


def test_the_areas_are_the_means_of_the_rankings():
    generator = np.random.default_rng(0)
    some = [rank(np.arange(60) < 8, generator.random(60).round(2)) for _ in range(5)]
    steps = np.diff(GRID)
    assert float(np.sum(mean_precision(some)[1:] * steps)) == pytest.approx(
        np.mean([one.average_precision for one in some]), abs=0.02
    )
    curve = mean_roc(some)
    assert float(np.sum((curve[1:] + curve[:-1]) / 2 * steps)) == pytest.approx(
        np.mean([one.roc_auc for one in some]), abs=0.02
    )
