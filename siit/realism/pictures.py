"""Pictures of portraits, one panel for each case; needs matplotlib (extra `show`)."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from siit.graph.architecture import EMBEDDINGS
from siit.realism.portrait import EXACT, Portrait
from siit.show.style import GREY, INK, drawing, figure, png

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#66c2a5", "#cc79a7", "#999999")
"""Okabe and Ito's palette; the fourth is a paler third."""
_DPI, _COLOURS = 110, 64
_FLOOR = 1e-4
"""Least share that is drawn on the logarithmic axis."""


def nodes_picture(portraits: Mapping[str, Mapping[str, Portrait]]) -> bytes:
    """Draws how much each head and MLP writes, and how much is lost without it, nodes in falling order.

    Args:
        portraits: case -> model -> its portrait.

    Returns:
        A PNG.
    """
    with drawing():
        drawn, axes = _panels(portraits, 2, "heads and MLPs, in falling order")
        colours = _colours(portraits)
        for column, models in enumerate(portraits.values()):
            for name, own in models.items():
                variances = [one.variance for one in own.activations if one.node not in EMBEDDINGS]
                _profile(axes[0, column], _shares(variances), colours[name], name, "o")
                without = [share for node, share in own.right_without.items() if node not in EMBEDDINGS]
                _profile(axes[1, column], [own.right - share for share in without], colours[name], name, "o")
            _logarithmic(axes[0, column])
        axes[0, 0].set_ylabel("share of the variance\nthat nodes write", fontsize=9)
        axes[1, 0].set_ylabel("right answers lost\nby its mean ablation", fontsize=9)
        return _finished(drawn, axes[0, _fullest(portraits)])


def edges_picture(portraits: Mapping[str, Mapping[str, Portrait]]) -> bytes:
    """Draws the scores of exact patching, edges in falling order.

    Args:
        portraits: case -> model -> its portrait.

    Returns:
        A PNG.
    """
    with drawing():
        drawn, axes = _panels(portraits, 1, "edges, in falling order")
        colours = _colours(portraits)
        for column, models in enumerate(portraits.values()):
            for name, own in models.items():
                _profile(axes[0, column], _shares(list(own.edge_scores[EXACT].values())), colours[name], name)
            _logarithmic(axes[0, column])
            axes[0, column].set_xscale("log")
            axes[0, column].xaxis.set_major_formatter("{x:g}")
        axes[0, 0].set_ylabel("share of all edges' scores\n(exact patching)", fontsize=9)
        return _finished(drawn, axes[0, _fullest(portraits)])


def _panels(portraits: Mapping[str, object], rows: int, below: str) -> tuple[Figure, Any]:
    """Makes a panel for each case and row."""
    drawn = figure(1 + 2.6 * len(portraits), 0.6 + 2.3 * rows)
    axes = drawn.subplots(rows, len(portraits), squeeze=False, sharey="row")
    for column, case in enumerate(portraits):
        axes[0, column].set_title(case, fontsize=10)
        axes[-1, column].set_xlabel(below, fontsize=8)
    return drawn, axes


def _colours(portraits: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Gives each model a colour, the same in all panels."""
    names = dict.fromkeys(name for models in portraits.values() for name in models)
    return dict(zip(names, itertools.cycle(COLOURS), strict=False))


def _fullest(portraits: Mapping[str, Mapping[str, object]]) -> int:
    """Finds the panel of the most models, which has the legend."""
    counts = [len(models) for models in portraits.values()]
    return counts.index(max(counts))


def _finished(drawn: Figure, fullest: Axes) -> bytes:
    fullest.legend(fontsize=7, frameon=False)
    drawn.tight_layout()
    return _few_colours(png(drawn, _DPI))


def _few_colours(picture: bytes) -> bytes:
    """Makes a PNG of lines a third as large."""
    found = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(
        found, format="png", optimize=True
    )
    return found.getvalue()


def _logarithmic(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(_FLOOR, 1.5)


def _profile(axes: Axes, values: Sequence[float], colour: str, name: str, marker: str = "") -> None:
    values = sorted(values, reverse=True)
    places = range(1, len(values) + 1)
    axes.plot(places, values, color=colour, label=name, marker=marker, markersize=3)
    axes.tick_params(labelsize=7, colors=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.label.set_color(INK)


def _shares(values: Sequence[float]) -> list[float]:
    """Makes values add up to 1, but none so small that a logarithm has no place for it."""
    return [max(value / max(sum(values), _FLOOR), _FLOOR) for value in values]
