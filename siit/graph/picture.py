"""Draws a circuit as lines of text, from the logits down to the embeddings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from siit.graph.architecture import EMBEDDINGS, LOGITS, layer_of
from siit.graph.circuit import Circuit


@dataclass(frozen=True)
class Part:
    """One line of the picture.

    Attributes:
        name: stands in the box.
        layer: in which layer it is; None for embeddings and logits.
        reads: slot (q, k or v; "" where there are none) -> the parts that it reads there.
    """

    name: str
    layer: int | None
    reads: Mapping[str, Collection[str]]


def circuit_text(circuit: Circuit) -> str:
    """Draws the members of a circuit, each with its unit, the layer that it is in, and the members that it reads."""
    parts = []
    for node in reversed(circuit.members):
        reads: dict[str, list[str]] = {}
        for edge in circuit.carries:
            if edge.receiver == node:
                reads.setdefault(edge.slot or "", []).append(edge.sender)
        unit = circuit.unit_of.get(node)
        inside = node in EMBEDDINGS or node == LOGITS
        parts.append(Part(f"{node}  {unit}" if unit else node, None if inside else layer_of(node), reads))
    return draw(parts)


def draw(parts: Sequence[Part]) -> str:
    """Draws parts in the order given, one line each.

    Args:
        parts: the ones that are computed last come first.
    """
    labels = []
    for index, part in enumerate(parts):
        first = index == 0 or parts[index - 1].layer != part.layer
        labels.append(f"layer {part.layer}" if first and part.layer is not None else "")
    left, width = max(map(len, labels), default=0), max((len(part.name) for part in parts), default=0)
    lines = []
    for label, part in zip(labels, parts, strict=True):
        reads = "   ".join(f"{slot} {', '.join(names)}".strip() for slot, names in _joined(part.reads).items())
        lines.append(f"  {label:<{left}}  [ {part.name:<{width}} ]{f'  <-  {reads}' if reads else ''}")
    return "\n".join(lines)


def _joined(reads: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Joins slots that read the same parts, in the order q, k, v."""
    together: dict[tuple[str, ...], list[str]] = {}
    for slot in sorted(reads, key=["", "q", "k", "v"].index):
        together.setdefault(tuple(dict.fromkeys(reads[slot])), []).append(slot)
    return {",".join(slots): list(names) for names, slots in together.items()}
