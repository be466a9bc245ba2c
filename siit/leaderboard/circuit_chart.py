"""Draws a model's circuit with a method's errors in it, by the layout that `siit.show` draws circuits by."""

from __future__ import annotations

from siit.graph.architecture import Edge, nodes
from siit.graph.circuit import Circuit
from siit.leaderboard.edge_errors import EdgeErrors
from siit.leaderboard.svg import Point, box, curve, picture, words
from siit.show.layout import MARGIN, lay_out

CIRCUIT_STYLE = """
.circuit { stroke-width: 2.5; fill: none; }
svg .found { stroke: #5b6475; marker-end: url(#to-found); }
svg .false { stroke: #d00020; marker-end: url(#to-false); }
svg .missed { stroke: #1d2433; stroke-dasharray: 8 6; marker-end: url(#to-missed); }
svg .unseen { stroke: #c3c9d4; stroke-width: 1.5; marker-end: url(#to-unseen); }
svg .member { fill: #e3ecfa; stroke: #1d2433; }
svg .drawn { fill: #fbe3e6; stroke: #d00020; }
svg .faint { fill: #eef0f4; }
svg .node { font-size: 15px; }
svg .small { font-size: 13px; fill: #7d8696; }
svg .halo { stroke: #fff; stroke-width: 5; fill: none; }
"""
KINDS = {"unseen": "#c3c9d4", "found": "#5b6475", "missed": "#1d2433", "false": "#d00020"}
"""Kind of an edge -> its colour; later ones are drawn over earlier ones."""
_INCH = 100
"""Units of an inch of the layout."""


def arrowheads() -> str:
    """Makes the heads of arrows, once for all pictures of a page."""
    shape = '<path d="M0 0L8 4L0 8z" fill="{colour}"/>'
    place = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="11" markerHeight="11" markerUnits="userSpaceOnUse"'
    heads = [
        f'<marker id="to-{kind}" {place} orient="auto">{shape.format(colour=colour)}</marker>'
        for kind, colour in KINDS.items()
    ]
    return (
        f'<svg width="0" height="0" style="position: absolute" aria-hidden="true"><defs>{"".join(heads)}</defs></svg>'
    )


def circuit_chart(circuit: Circuit, errors: EdgeErrors, title: str) -> str:
    """Draws it: edges found are grey, false ones red, missed ones dashed, and those that cannot be seen pale.

    Args:
        circuit: the labels.
        errors: of the method.
        title: for those who cannot see it.
    """
    layout = lay_out(circuit, errors.false, notes=False)
    width, height = (layout.note_x + MARGIN) * _INCH, layout.height * _INCH

    def place(point: Point) -> Point:
        return point[0] * _INCH, height - point[1] * _INCH

    def edges(kind: str, of: tuple[Edge, ...]) -> list[str]:
        routes = [[place(point) for point in layout.routes[edge]] for edge in of]
        return [curve(points, look) for points in routes for look in ("halo", f"circuit {kind}")]

    false_ends = {node for edge in errors.false for node in (edge.sender, edge.receiver)}
    parts = []
    for kind in KINDS:
        parts += edges(kind, getattr(errors, kind))
    for node in nodes(circuit.config):
        at = layout.boxes[node]
        member = node in circuit.members
        kind = "member" if member else "drawn" if node in false_ends else "faint"
        middle = place((at.x, at.y))
        parts.append(box(middle, at.width * _INCH, at.height * _INCH, kind))
        lettering = "small" if kind == "faint" else "node"
        parts.append(words((middle[0], middle[1] + 5), node, lettering, "middle"))
    return picture(width, height, parts, title)
