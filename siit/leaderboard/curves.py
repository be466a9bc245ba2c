"""Averages ROC and precision-recall curves over models, vertically (Fawcett, Pattern Recognition Letters 27, 2006)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from siit.scoring.ranking import Ranking

GRID = np.linspace(0.0, 1.0, 101)
"""Where curves are read off."""
Curve = Float[np.ndarray, " grid"]


def mean_roc(rankings: Sequence[Ranking]) -> Curve:
    """Averages the share of the circuit's edges that is found, at each share of the others that is taken for them."""
    return np.mean([_roc(one) for one in rankings], axis=0)


def mean_precision(rankings: Sequence[Ranking]) -> Curve:
    """Averages precision at each share of the circuit's edges that is found (recall).

    It is that of the first threshold that reaches the recall: so the area under one curve is its average precision.
    """
    return np.mean([_precision(one) for one in rankings], axis=0)


def _roc(one: Ranking) -> Curve:
    x, y = one.roc.false_positive_rate, one.roc.true_positive_rate
    # Where the curve rises upright, its upper end is taken.
    last = np.append(x[1:] != x[:-1], True)
    return np.interp(GRID, x[last], y[last])


def _precision(one: Ranking) -> Curve:
    found = one.roc.true_positive_rate[1:] * one.positives
    precision = found / (found + one.roc.false_positive_rate[1:] * one.negatives)
    # A hair below, lest rounding makes a recall of 2/5 miss the 0.4 of the grid.
    reached = np.searchsorted(one.roc.true_positive_rate[1:], GRID - 1e-9)
    return precision[reached]
