"""Prints tables as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percent(share: float | None) -> str:
    """A share in percent, never rounded up to a bar that it misses; empty where it was not measured."""
    return "" if share is None else f"{math.floor(share * 1e4 + 1e-6) / 100:.2f}"


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Makes a table of a head and rows."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
