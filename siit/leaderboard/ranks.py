"""Compares methods by their ranks over models: average ranks, Friedman's test, and the Nemenyi test.

Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section 3.2.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from siit._extras import require

LEVEL = 0.05
_DIGITS = 12
"""By which numbers differ, lest the order of a sum makes a rank."""


@dataclass(frozen=True)
class RankComparison:
    """Methods by their average ranks.

    Attributes:
        methods: the best first.
        average: of each, its rank averaged over models; 1 is the best, equal numbers share the mean of their ranks.
        models: how many.
        critical: the difference of average ranks from which on two methods differ, by the Nemenyi test at 5 %.
        groups: methods that are not told apart: places of the first and the last, from 0; none within another.
        p_value: of Friedman's test that all methods are equal, ties corrected for.
    """

    methods: tuple[str, ...]
    average: tuple[float, ...]
    models: int
    critical: float
    groups: tuple[tuple[int, int], ...]
    p_value: float


def compare(values: Mapping[str, Sequence[float]]) -> RankComparison:
    """Compares three methods or more.

    Args:
        values: method -> its number on each model, higher is better; models in the same order, two at least.

    Raises:
        ImportError: names the extra that has SciPy.
    """
    stats = _stats()
    table = np.round(np.array([*values.values()], dtype=np.float64).T, _DIGITS)
    models, count = table.shape
    average = stats.rankdata(-table, axis=1).mean(0)
    order = sorted(range(count), key=lambda place: (average[place], [*values][place]))
    ranks = [float(average[place]) for place in order]
    critical = critical_difference(count, models)
    # With every row of one rank, no test can tell anything.
    p_value = 1.0 if (table == table[:, :1]).all() else float(stats.friedmanchisquare(*table.T).pvalue)
    names = tuple([*values][place] for place in order)
    return RankComparison(names, tuple(ranks), models, critical, _groups(ranks, critical), p_value)


def critical_difference(methods: int, models: int) -> float:
    """Computes q sqrt(k (k + 1) / (6 N)); q is the Studentized range's 95 % quantile of infinite freedom over sqrt(2).

    Args:
        methods: k.
        models: N.
    """
    q = float(_stats().studentized_range.ppf(1 - LEVEL, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * models))


def _groups(ranks: Sequence[float], critical: float) -> tuple[tuple[int, int], ...]:
    """Finds the longest runs of two ranks or more that differ by less than the critical difference."""
    found: list[tuple[int, int]] = []
    for first, low in enumerate(ranks):
        last = max(place for place, high in enumerate(ranks) if high - low < critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(found)


def _stats() -> Any:
    return require("scipy.stats", extra="evaluate", needed_by="siit.leaderboard")
