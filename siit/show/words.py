"""Texts from files that are not trusted, and numbers, as they are shown."""

from __future__ import annotations

from siit._text import printable
from siit.graph.circuit import Circuit

PROGRAM = "program"
"""Stands before what no measurement shows."""


def about_roles(circuit: Circuit) -> str:
    """Says, in one sentence, which of a circuit's texts are measured and which are not."""
    if circuit.mixes_roles:
        return "Roles as an earlier version wrote them: values are measured, how a node computes them is not."
    measured = "The value that a node carries is measured"
    return f"{measured}; how the program computes it (in italics) is not." if circuit.programs else f"{measured}."


def short(text: str, letters: int) -> str:
    """Makes a text that can be shown, with an ellipsis where it is too long."""
    shown = printable(text)
    return shown if len(shown) <= letters else shown[: letters - 1] + "…"


def share(value: float) -> str:
    """Rounds a share to a whole percentage; what is not nothing does not look like nothing."""
    if value == 0:
        return "0"
    if value < 0.01:
        return "<1"
    return ">99" if 0.99 < value < 1 else f"{value:.0%}"[:-1]


def in_words(value: object) -> str:
    """Words a token or a class; quoted where there would be nothing to see."""
    text = str(value)
    return text if text and text.strip() == text else repr(value)
