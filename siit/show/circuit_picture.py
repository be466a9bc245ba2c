"""The picture of the circuit: its nodes and edges within the whole model, and what each does in words."""

from __future__ import annotations

from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from siit.graph.architecture import EMBEDDINGS, HEAD_SLOTS, LOGITS, nodes
from siit.graph.circuit import Circuit
from siit.show.layout import MARGIN, NOTE_LINE, PORTS, Box, Note, Point, lay_out
from siit.show.style import (
    BAND,
    FAINT,
    GREY,
    INK,
    MEMBER,
    PALE,
    PALE_TEXT,
    SLOT_COLOURS,
    SLOT_NAMES,
    drawing,
    figure,
    png,
)
from siit.show.words import about_roles, short

_HEADER, _LEAST_WIDTH = 1.1, 9.4
_ARROW = 0.1
_UNIT_LETTERS = 16


def circuit_picture(circuit: Circuit, title: str) -> bytes:
    """Draws the picture as PNG.

    Args:
        circuit: the labels.
        title: stands above; shortened to fit.
    """
    layout = lay_out(circuit)
    width, height = max(layout.width, _LEAST_WIDTH), layout.height + _HEADER
    with drawing():
        drawn = figure(width, height)
        axes = drawn.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        axes.axis("off")
        axes.text(MARGIN, height - 0.32, short(title, int(width / 0.115)), fontsize=13, weight="bold", va="center")
        _legend(axes, circuit, height - 0.66)
        axes.text(MARGIN, height - 0.92, about_roles(circuit), fontsize=8, color=GREY, va="center")
        for layer, (low, high) in layout.layers.items():
            left, right, y = MARGIN - 0.12, layout.note_x - 0.12, (low + high) / 2
            band = Box((left + right) / 2, y, right - left, high - low + 0.1)
            axes.add_patch(_rounded(band, facecolor=BAND, edgecolor="none", zorder=0))
            axes.text(MARGIN, y, f"layer {layer}", fontsize=7.5, color=GREY, va="center", ha="center", rotation=90)
        for node in nodes(circuit.config):
            if node not in circuit.members:
                _off_node(axes, node, layout.boxes[node])
        for edge, route in layout.routes.items():
            _edge(axes, route, SLOT_COLOURS[edge.slot], within=circuit.carries[edge] is None)
        for node in circuit.members:
            _member(axes, node, layout.boxes[node], circuit.unit_of.get(node))
        for note in layout.notes:
            _note(axes, note, layout.note_x)
        return png(drawn)


def _legend(axes: Any, circuit: Circuit, y: float) -> None:
    used = {edge.slot for edge in circuit.carries}
    entries: list[tuple[str, str, str]] = [
        (SLOT_COLOURS[slot], "-", SLOT_NAMES[slot]) for slot in (*HEAD_SLOTS, None) if slot in used
    ]
    if None in circuit.carries.values():
        entries.append((GREY, "--", "dashed: within one unit"))
    x = MARGIN
    for colour, line, words in entries:
        axes.add_line(Line2D([x, x + 0.32], [y, y], color=colour, linestyle=line, linewidth=2))
        label = axes.text(x + 0.39, y, words, fontsize=8, va="center")
        x = _end(axes, label) + 0.28
    axes.add_patch(_rounded(Box(x + 0.14, y, 0.28, 0.15), facecolor=FAINT, edgecolor="none"))
    axes.text(x + 0.36, y, "not on the circuit", fontsize=8, va="center")


def _rounded(box: Box, **style: Any) -> Any:
    shape = f"round,pad=0,rounding_size={min(0.08, box.height / 3)}"
    return FancyBboxPatch((box.x - box.width / 2, box.bottom), box.width, box.height, boxstyle=shape, **style)


def _off_node(axes: Any, node: str, box: Box) -> None:
    axes.add_patch(_rounded(box, facecolor=FAINT, edgecolor="none", zorder=1))
    axes.text(box.x, box.y, node, fontsize=6.5, color=PALE, ha="center", va="center_baseline", zorder=1)


def _member(axes: Any, node: str, box: Box, unit: str | None) -> None:
    plain = node in EMBEDDINGS or node == LOGITS
    axes.add_patch(_rounded(box, facecolor="white" if plain else MEMBER, edgecolor=INK, linewidth=1.3, zorder=4))
    ports = node.startswith("a")
    lift = 0.0 if unit is None else 0.15 if ports else 0.1
    axes.text(box.x, box.y + lift, node, fontsize=9, weight="bold", ha="center", va="center", zorder=5)
    if unit is not None:
        words, y = short(unit, _UNIT_LETTERS), box.y + lift - 0.17
        axes.text(box.x, y, words, fontsize=6.5, color=GREY, ha="center", va="center", zorder=5)
    for slot in HEAD_SLOTS if ports else ():
        style = {"fontsize": 7, "weight": "bold", "ha": "center", "va": "center", "zorder": 5}
        axes.text(box.x + PORTS[slot], box.bottom + 0.085, slot, color=SLOT_COLOURS[slot], **style)


def _edge(axes: Any, route: tuple[Point, ...], colour: str, *, within: bool) -> None:
    (x, y), end = route[-1], (route[-1][0], route[-1][1] - _ARROW * 0.8)
    path = Path([*route[:-1], end], [Path.MOVETO, *[Path.CURVE4] * (len(route) - 1)])
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor="white", linewidth=3.6, zorder=2))
    line = "--" if within else "-"
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor=colour, linewidth=1.7, linestyle=line, zorder=3))
    corners = [(x, y), (x - _ARROW / 2, y - _ARROW), (x + _ARROW / 2, y - _ARROW)]
    axes.add_patch(Polygon(corners, closed=True, facecolor=colour, edgecolor="none", zorder=3))


def _note(axes: Any, note: Note, x: float) -> None:
    names = axes.text(x, note.y, note.nodes, fontsize=8.5, weight="bold", va="center")
    axes.text(_end(axes, names) + 0.1, note.y, note.unit, fontsize=8.5, va="center")
    for number, line in enumerate((*note.lines, *note.program), 1):
        style = {"style": "italic", "color": PALE_TEXT} if number > len(note.lines) else {"color": GREY}
        axes.text(x, note.y - NOTE_LINE * number, line, fontsize=8, va="center", **style)


def _end(axes: Any, text: Any) -> float:
    """Where a text ends, in inches."""
    return float(text.get_window_extent().x1 / axes.figure.dpi)
