"""Writes pictures as SVG within a page, by hand: a few shapes, whose looks are the page's."""

from __future__ import annotations

from collections.abc import Sequence

from siit.show.document import escaped

Point = tuple[float, float]


def picture(width: float, height: float, parts: Sequence[str], title: str) -> str:
    """Puts shapes into a picture that is as wide as its place, and says what it shows.

    Args:
        width, height: in its own units.
        parts: shapes.
        title: for those who cannot see it.
    """
    box = f"0 0 {_number(width)} {_number(height)}"
    return f'<svg viewBox="{box}" role="img" aria-label="{escaped(title)}">{"".join(parts)}</svg>'


def line(start: Point, end: Point, kind: str) -> str:
    """Draws a straight line; `kind` is its class."""
    (x1, y1), (x2, y2) = start, end
    ends = f'x1="{_number(x1)}" y1="{_number(y1)}" x2="{_number(x2)}" y2="{_number(y2)}"'
    return f'<line class="{kind}" {ends}/>'


def path(points: Sequence[Point], kind: str) -> str:
    """Draws straight lines from point to point."""
    return f'<path class="{kind}" d="M{"L".join(map(_point, points))}"/>'


def curve(points: Sequence[Point], kind: str) -> str:
    """Draws cubic curves: the start, then two handles and an end for each."""
    start, *rest = map(_point, points)
    return f'<path class="{kind}" d="M{start}C{" ".join(rest)}"/>'


def dot(centre: Point, radius: float, kind: str) -> str:
    """Draws a disc."""
    x, y = centre
    return f'<circle class="{kind}" cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}"/>'


def box(centre: Point, width: float, height: float, kind: str) -> str:
    """Draws a box with round corners."""
    x, y = centre
    place = f'x="{_number(x - width / 2)}" y="{_number(y - height / 2)}"'
    return f'<rect class="{kind}" {place} width="{_number(width)}" height="{_number(height)}" rx="6"/>'


def words(place: Point, text: str, kind: str = "", anchor: str = "start") -> str:
    """Writes a text; `anchor` says which end of it is at its place: start, middle or end."""
    x, y = place
    look = f' class="{kind}"' if kind else ""
    at = f'x="{_number(x)}" y="{_number(y)}"'
    return f'<text{look} {at} text-anchor="{anchor}">{escaped(text)}</text>'


def _point(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _number(value: float) -> str:
    """A tenth of a unit is enough, and short."""
    return f"{value:.1f}".removesuffix(".0")
