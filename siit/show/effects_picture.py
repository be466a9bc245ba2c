"""The picture of what every node and every edge does: two heat maps, with what is on the circuit in frames."""

from __future__ import annotations

from typing import Any

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from siit.graph.architecture import EMBEDDINGS, Edge, head_index, is_head, layer_of, slots
from siit.graph.circuit import Circuit
from siit.show.effects import Effects
from siit.show.style import FAINT, GREY, INK, MAP, PALE, SLOT_COLOURS, colour, drawing, figure, png, text_on
from siit.show.words import share, short

_CELL, _ROW, _FOOT = 0.44, 0.3, 0.25
_MARGIN, _HEADER, _NAMES, _HEADS, _BELOW = 0.3, 0.82, 0.95, 0.62, 0.85
_SPACE, _LEAST_WIDTH = 0.5, 7.4
_SIDE_BY_SIDE = 15.0


def effects_picture(circuit: Circuit, effects: Effects, title: str) -> bytes:
    """Draws the picture, as PNG: a grid of layers and components, and a matrix of senders and receivers' slots.

    Args:
        circuit: the labels.
        effects: what was measured.
        title: stands above; shortened to fit.
    """
    config = circuit.config
    senders = circuit.members[:-1]
    readers = [(node, slot) for node in circuit.members for slot in slots(node)]
    grid = (_CELL * (config.n_heads + 1), _ROW * (config.n_layers + 1) + _FOOT)
    matrix = (_CELL * len(readers), _ROW * len(senders))
    first_width = _NAMES + max(grid[0], 2.0)
    both = first_width + _SPACE + _NAMES + matrix[0] + 2 * _MARGIN
    beside = both <= _SIDE_BY_SIDE
    width = max(_LEAST_WIDTH, both if beside else max(first_width, _NAMES + matrix[0]) + 2 * _MARGIN)
    if beside:
        height = _HEADER + _HEADS + max(grid[1], matrix[1]) + _BELOW
    else:
        height = _HEADER + 2 * _HEADS + grid[1] + _SPACE + matrix[1] + _BELOW
    with drawing():
        drawn = figure(width, height)
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        axes.axis("off")
        axes.text(_MARGIN, height - 0.32, short(title, int(width / 0.11)), fontsize=12, weight="bold", va="center")
        axes.text(_MARGIN, height - 0.58, effects.how, fontsize=8.5, color=GREY, va="center")
        top = height - _HEADER - _HEADS
        _nodes(axes, circuit, effects, _MARGIN + _NAMES, top)
        if beside:
            _edges(axes, circuit, effects, (_MARGIN + first_width + _SPACE + _NAMES, top), senders, readers)
        else:
            place = (_MARGIN + _NAMES, top - grid[1] - _SPACE - _HEADS)
            _edges(axes, circuit, effects, place, senders, readers)
        _legend(drawn, axes, width, height)
        return png(drawn)


def _nodes(axes: Any, circuit: Circuit, effects: Effects, left: float, top: float) -> None:
    config = circuit.config
    axes.text(left - _NAMES, top + 0.46, "Nodes", fontsize=10, weight="bold", va="center")
    for index in range(config.n_heads + 1):
        name = f"h{index}" if index < config.n_heads else "MLP"
        axes.text(left + _CELL * (index + 0.5), top + 0.12, name, fontsize=7.5, ha="center", va="center")

    def row(layer: int) -> float:
        return top - _ROW * (config.n_layers - layer)

    for layer in range(config.n_layers):
        axes.text(left - 0.1, row(layer) + _ROW / 2, f"layer {layer}", fontsize=7.5, ha="right", va="center")
    below = row(-1) - 0.08
    for node, value in effects.nodes.items():
        if node in EMBEDDINGS:
            x, y = left + _CELL * EMBEDDINGS.index(node), below
        else:
            column = head_index(node) if is_head(node) else config.n_heads
            x, y = left + _CELL * column, row(layer_of(node))
        _cell(axes, (x, y), value, framed=node in circuit.members)
    axes.text(left - 0.1, below + _ROW / 2, "embeddings", fontsize=7.5, ha="right", va="center")
    for index, name in enumerate(("tok", "pos")):
        axes.text(left + _CELL * (index + 0.5), below - 0.1, name, fontsize=7.5, ha="center", va="center")


def _edges(
    axes: Any,
    circuit: Circuit,
    effects: Effects,
    place: tuple[float, float],
    senders: list[str],
    readers: list[tuple[str, Any]],
) -> None:
    left, top = place
    heading = "Edges between members of the circuit: sender (row) to receiver (column)"
    letters = int((_NAMES + _CELL * len(readers)) / 0.088)
    words = heading if letters >= len(heading) else "Edges: sender to receiver"
    axes.text(left - _NAMES, top + 0.46, words, fontsize=10, weight="bold", va="center")
    for row, sender in enumerate(senders):
        y = top - _ROW * (row + 1)
        axes.text(left - 0.1, y + _ROW / 2, sender, fontsize=7.5, ha="right", va="center")
        for column, (receiver, slot) in enumerate(readers):
            edge, corner = Edge(sender, receiver, slot), (left + _CELL * column, y)
            if edge in effects.edges:
                _cell(axes, corner, effects.edges[edge], framed=edge in circuit.carries)
            else:
                axes.add_patch(Rectangle(corner, _CELL, _ROW, facecolor=FAINT, edgecolor="white", linewidth=1))
    for column, (receiver, slot) in enumerate(readers):
        x = left + _CELL * (column + 0.5)
        if slot is not None:
            style = {"fontsize": 7.5, "weight": "bold", "ha": "center", "va": "center"}
            axes.text(x, top + 0.1, slot, color=SLOT_COLOURS[slot], **style)
        if slot in ("k", None):
            y = top + (0.26 if slot else 0.12)
            axes.text(x, y, receiver, fontsize=7.5, ha="center", va="center")


def _cell(axes: Any, corner: tuple[float, float], value: float, *, framed: bool) -> None:
    axes.add_patch(Rectangle(corner, _CELL, _ROW, facecolor=colour(value), edgecolor="white", linewidth=1))
    if framed:
        inner = (corner[0] + 0.022, corner[1] + 0.022)
        axes.add_patch(
            Rectangle(inner, _CELL - 0.044, _ROW - 0.044, fill=False, edgecolor=INK, linewidth=1.6, zorder=3)
        )
    text = text_on(value) if value or framed else PALE
    middle = (corner[0] + _CELL / 2, corner[1] + _ROW / 2 - 0.005)
    axes.text(*middle, share(value), fontsize=7, color=text, ha="center", va="center", zorder=4)


def _legend(drawn: Any, axes: Any, width: float, height: float) -> None:
    y = 0.36
    place = (_MARGIN / width, y / height, 1.8 / width, 0.13 / height)
    scale = ScalarMappable(Normalize(0, 100), MAP)
    bar = drawn.colorbar(scale, cax=drawn.add_axes(place), orientation="horizontal")
    bar.set_ticks([0, 50, 100])
    bar.ax.tick_params(labelsize=7, length=2)
    bar.outline.set_visible(False)
    axes.text(_MARGIN + 1.95, y + 0.065, "% of scored answers that change", fontsize=7.5, color=GREY, va="center")
    x = _MARGIN + 4.35
    axes.add_patch(Rectangle((x, y - 0.02), 0.26, 0.17, fill=False, edgecolor=INK, linewidth=1.6))
    axes.text(x + 0.34, y + 0.065, "on the circuit", fontsize=7.5, color=GREY, va="center")
    axes.add_patch(Rectangle((x + 1.35, y - 0.02), 0.26, 0.17, facecolor=FAINT, edgecolor="none"))
    axes.text(x + 1.69, y + 0.065, "no such edge", fontsize=7.5, color=GREY, va="center")
