"""Draws the board's charts: means with their intervals, methods by their ranks, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siit.evaluation.overview import GroupMean
from siit.leaderboard.curves import GRID, Curve
from siit.leaderboard.ranks import LEVEL, RankComparison
from siit.leaderboard.svg import Point, dot, line, path, picture, words

CHART_STYLE = """
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: #1d2433; }
svg .axis { stroke: #aab1be; }
svg .grid { stroke: #e3e6ec; }
svg .note { fill: #5b6475; }
svg .whisker { stroke: #0072b2; stroke-width: 2; }
svg .dot { fill: #0072b2; }
svg .null { stroke: #d55e00; stroke-width: 2; fill: none; }
svg .leader { stroke: #5b6475; fill: none; }
svg .bar { stroke: #1d2433; stroke-width: 4; stroke-linecap: round; }
svg .curve { stroke: #0072b2; stroke-width: 2; fill: none; }
"""
_ROW, _GUTTER, _CHART = 20.0, 150.0, 420.0


def interval_chart(means: Sequence[GroupMean], nulls: Sequence[float], title: str) -> str:
    """Draws shares from 0 to 1 with their intervals, a line for each method, and marks the null of each.

    Args:
        means: of one group and measure, the best first.
        nulls: what the structure null reaches on the same models, one for each mean.
        title: for those who cannot see it.
    """
    height, width = _ROW * (len(means) + 1) + 6, _CHART - _GUTTER - 14

    def x(value: float) -> float:
        return _GUTTER + width * min(max(value, 0.0), 1.0)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(line((x(tick), 4.0), (x(tick), height - _ROW), "grid"))
        parts.append(words((x(tick), height - 6), f"{tick:g}", "note", "middle"))
    for number, (one, null) in enumerate(zip(means, nulls, strict=True)):
        y = _ROW * (number + 0.5) + 4
        parts.append(words((_GUTTER - 8, y + 4), _short(one.method), anchor="end"))
        if one.low is not None and one.high is not None:
            parts.append(line((x(one.low), y), (x(one.high), y), "whisker"))
        parts.append(line((x(null), y - 6), (x(null), y + 6), "null"))
        parts.append(dot((x(one.mean), y), 4.0, "dot"))
    return picture(_CHART, height, parts, title)


def rank_chart(found: RankComparison) -> str:
    """Draws methods at their average ranks, bars over those that are not told apart, and the critical difference.

    As Demsar's figures 1 and 2 (JMLR 7, 2006): the best at the left.
    """
    width, left, top = 760.0, 190.0, 62.0
    count = len(found.methods)
    half = (count + 1) // 2
    span = width - 2 * left

    def x(rank: float) -> float:
        return left + span * (rank - 1) / (count - 1)

    bars = top + 10
    rows = bars + 8.0 * len(found.groups) + 16
    height = rows + _ROW * half
    parts = [line((x(1.0), top), (x(float(count)), top), "axis")]
    for whole in range(1, count + 1):
        parts += [line((x(float(whole)), top - 6), (x(float(whole)), top), "axis")]
        parts += [words((x(float(whole)), top - 10), str(whole), "note", "middle")]
    # No longer than the axis: where models are few, nothing is told apart.
    end = min(1 + found.critical, float(count))
    parts += [
        line((x(1.0), 22.0), (x(end), 22.0), "bar"),
        words((x(1.0), 12.0), f"critical difference {found.critical:.2f}"),
    ]
    for number, (name, rank) in enumerate(zip(found.methods, found.average, strict=True)):
        at_left = number < half
        y = rows + _ROW * (number if at_left else count - 1 - number)
        edge = left - 12 if at_left else width - left + 12
        parts.append(path([(x(rank), top), (x(rank), y), (edge, y)], "leader"))
        label = f"{_short(name)} {rank:.2f}" if at_left else f"{rank:.2f} {_short(name)}"
        parts.append(words((edge + (-4 if at_left else 4), y + 4), label, anchor="end" if at_left else "start"))
    for number, (first, last) in enumerate(found.groups):
        y = bars + 8.0 * number
        parts.append(line((x(found.average[first]) - 4, y), (x(found.average[last]) + 4, y), "bar"))
    title = f"{count} methods by average rank over {found.models} models, Nemenyi test at {LEVEL:.0%}"
    return picture(width, height, parts, title)


@dataclass(frozen=True, eq=False)
class Curves:
    """Mean curves of a method, and of the structure null on the same models.

    Attributes:
        method: its name.
        precision, roc: at each point of the grid.
        null_precision, null_roc: the null's.
    """

    method: str
    precision: Curve
    roc: Curve
    null_precision: Curve
    null_roc: Curve


def curve_chart(of: Curves) -> str:
    """Draws precision over recall, and beside it the ROC curve; the null in another colour."""
    size, top, gap, left = 150.0, 8.0, 46.0, 32.0

    def panel(start: float, own: Curve, null: Curve, across: str, upward: str) -> list[str]:
        def points(values: Curve) -> list[Point]:
            return [(start + size * x, top + size * (1 - y)) for x, y in zip(GRID, values, strict=True)]

        parts = [path([(start, top), (start, top + size), (start + size, top + size)], "leader")]
        for tick in (0.0, 0.5, 1.0):
            parts.append(words((start - 5, top + size * (1 - tick) + 4), f"{tick:g}", "note", "end"))
            parts.append(words((start + size * tick, top + size + 14), f"{tick:g}", "note", "middle"))
        parts.append(words((start + size / 2, top + size + 28), f"{across} (up: {upward})", "note", "middle"))
        return [*parts, path(points(null), "null"), path(points(own), "curve")]

    parts = [
        *panel(left, of.precision, of.null_precision, "recall", "precision"),
        *panel(left + size + gap, of.roc, of.null_roc, "false positives", "found"),
    ]
    title = f"Precision-recall and ROC curves of {of.method}, with the structure null"
    return picture(left + 2 * size + gap + 14, top + size + 36, parts, title)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:11]}…{name[-12:]}"
