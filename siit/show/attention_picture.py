"""The picture of one example: its tokens and answers, and the attention patterns of the circuit's heads."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from siit._text import printable
from siit.graph.circuit import Circuit
from siit.show.example import Example
from siit.show.style import BAND, FAINT, GREY, INK, MAP, PALE, PALE_TEXT, WRONG, drawing, figure, png, text_on
from siit.show.words import PROGRAM, about_roles, short

_MARGIN, _HEADER, _BAR = 0.3, 0.95, 0.75
_CELL, _SMALL_CELL, _LEAST_SIDE, _MOST_COLUMNS = 0.27, 0.19, 2.3, 3
_TITLE, _LABEL, _LINE = 1.07, 0.3, 0.15
_ROLE_LINES, _PROGRAM_LINES = 3, 2
_LETTER, _LABEL_LETTERS = 0.072, 14
_NUMBERED = 12
"""Up to so many positions, weights stand in the cells."""


def attention_picture(circuit: Circuit, example: Example, title: str) -> bytes:
    """Draws the picture as PNG: at the left a table of the example, its rows level with the first patterns' queries.

    Args:
        circuit: the labels.
        example: what is shown.
        title: stands above; shortened to fit.
    """
    count, size = len(example.patterns), len(example.tokens)
    columns = min(_MOST_COLUMNS, math.ceil(math.sqrt(count))) if count != 3 else 3
    rows = math.ceil(count / columns) if columns else 1
    labels = [short(token, _LABEL_LETTERS) for token in example.tokens]
    label_size = 0.12 + _LETTER * max(map(len, labels))
    cell = _CELL if size <= _NUMBERED else _SMALL_CELL
    upright = label_size > cell * 1.35
    below = label_size if upright else 0.22
    side = max(_LEAST_SIDE, cell * size)
    table = _table_widths(example, labels)
    panel, step = label_size + _LABEL + side, below + 0.22 + side + _TITLE
    patterns_left = _MARGIN + sum(table) + 0.35
    width = patterns_left + (columns * (panel + 0.3) + _BAR if count else 2.6)
    height = _HEADER + rows * step + _MARGIN
    with drawing():
        drawn = figure(width, height)
        whole = drawn.add_axes((0, 0, 1, 1))
        whole.set_xlim(0, width)
        whole.set_ylim(0, height)
        whole.axis("off")
        whole.text(_MARGIN, height - 0.3, short(title, int(width / 0.11)), fontsize=12, weight="bold", va="center")
        whole.text(_MARGIN, height - 0.56, short(example.name, 60), fontsize=8.5, color=GREY, va="center")
        whole.text(_MARGIN, height - 0.78, about_roles(circuit), fontsize=8, color=GREY, va="center")
        top = height - _HEADER - _TITLE
        _table(whole, example, labels, table, (_MARGIN, top, side))
        for number, head in enumerate(example.patterns):
            row, column = divmod(number, columns)
            left, low = patterns_left + column * (panel + 0.3) + label_size + _LABEL, top - row * step - side
            axes = drawn.add_axes((left / width, low / height, side / width, side / height))
            _pattern(axes, example, head, labels, upright=upright)
            _panel_title(whole, circuit, head, (left, low + side, side))
        if count:
            place = ((width - _BAR + 0.05) / width, (top - side) / height, 0.14 / width, side / height)
            bar = drawn.colorbar(ScalarMappable(Normalize(0, 1), MAP), cax=drawn.add_axes(place))
            bar.ax.tick_params(labelsize=7, length=2)
            bar.outline.set_visible(False)
            bar.ax.set_title("weight", fontsize=7, color=GREY)
        else:
            whole.text(patterns_left, top - side / 2, "No head is on this circuit.", fontsize=9, color=GREY)
        return png(drawn)


_HEADINGS = ("", "token", "right answer", "model's answer")


def _table_widths(example: Example, labels: list[str]) -> list[float]:
    columns = (
        [str(number) for number in range(len(labels))],
        labels,
        [short(answer or "", _LABEL_LETTERS) for answer in example.right],
        [short(answer or "", _LABEL_LETTERS) for answer in example.found],
    )
    return [
        0.2 + _LETTER * max(len(text) for text in (heading, *texts))
        for heading, texts in zip(_HEADINGS, columns, strict=True)
    ]


def _table(
    axes: Any, example: Example, labels: list[str], widths: list[float], place: tuple[float, float, float]
) -> None:
    """Position, token, and both answers, one row for each query."""
    left, top, side = place
    rows, step = len(labels), side / len(labels)
    edges = [left + sum(widths[:number]) for number in range(len(widths))]
    for x, heading in zip(edges, _HEADINGS, strict=True):
        axes.text(x + 0.08, top + 0.14, heading, fontsize=7.5, color=GREY, va="center")
    for row in range(rows):
        y = top - (row + 0.5) * step
        if row % 2 == 0:
            axes.add_patch(Rectangle((left, y - step / 2), sum(widths), step, facecolor=BAND, edgecolor="none"))
        right, found, wrong = example.right[row], example.found[row], example.wrong[row]
        cells = (str(row), labels[row], *(short(text or "·", _LABEL_LETTERS) for text in (right, found)))
        colours = (
            PALE,
            PALE if example.special[row] else INK,
            PALE if right is None else INK,
            WRONG if wrong else PALE if found is None else INK,
        )
        for column, (x, text, colour) in enumerate(zip(edges, cells, colours, strict=True)):
            weight = "bold" if wrong and column == 3 else "normal"
            axes.text(x + 0.08, y, text, fontsize=8, color=colour, weight=weight, va="center")


def _pattern(axes: Any, example: Example, head: str, labels: list[str], *, upright: bool) -> None:
    weights = example.patterns[head].numpy()
    size = len(labels)
    hidden = np.triu(np.ones((size, size), dtype=bool), 1) if example.causal else np.zeros((size, size), dtype=bool)
    axes.set_facecolor(FAINT)
    axes.imshow(np.ma.masked_array(weights, hidden), cmap=MAP, vmin=0, vmax=1, aspect="auto")
    places = range(size)
    axes.set_xticks(places, labels, rotation=90 if upright else 0, fontsize=7.5)
    axes.set_yticks(places, labels, fontsize=7.5)
    for tick, special in zip((*axes.get_xticklabels(), *axes.get_yticklabels()), example.special * 2, strict=True):
        tick.set_color(PALE if special else INK)
    axes.tick_params(length=0, pad=3)
    axes.set_xlabel("key", fontsize=7.5, color=GREY, labelpad=1)
    axes.set_ylabel("query", fontsize=7.5, color=GREY, labelpad=4)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks([place - 0.5 for place in places], minor=True)
    axes.set_yticks([place - 0.5 for place in places], minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    if size <= _NUMBERED:
        for query, key in np.argwhere(~hidden & (weights >= 0.005)):
            weight = float(weights[query, key])
            text = "1" if weight >= 0.995 else f"{weight:.2f}"[1:]
            axes.text(key, query, text, fontsize=6, color=text_on(weight), ha="center", va="center")


def _panel_title(axes: Any, circuit: Circuit, head: str, place: tuple[float, float, float]) -> None:
    """Writes a head's name and unit, its role, and in italics its program, from the top down to the pattern."""
    left, top, side = place
    program = circuit.programs.get(head, "")
    role = _wrapped(circuit.roles.get(head, ""), side, _ROLE_LINES)
    lines = [*role, *_wrapped(f"{PROGRAM}: {program}" if program else "", side, _PROGRAM_LINES)]
    y = top + 0.12 + _LINE * len(lines)
    for number, line in enumerate(lines):
        style = {"color": GREY} if number < len(role) else {"color": PALE_TEXT, "style": "italic"}
        axes.text(left, y - _LINE * (number + 0.85), line, fontsize=7.5, va="center", **style)
    name = axes.text(left, y + 0.06, head, fontsize=9, weight="bold", va="center")
    x = float(name.get_window_extent().x1 / axes.figure.dpi) + 0.08
    letters = max(int((left + side - x) / 0.073), 4)
    axes.text(x, y + 0.06, short(circuit.unit_of[head], letters), fontsize=8.5, va="center")


def _wrapped(text: str, side: float, lines: int) -> list[str]:
    return textwrap.wrap(printable(text), int(side / 0.064), max_lines=lines, placeholder=" …")
