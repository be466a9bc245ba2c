"""The two shares that tell what a part of the circuit does, side by side, each with what it is counted in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siit.certificate import Certificate
from siit.graph.architecture import EMBEDDINGS, LOGITS
from siit.graph.circuit import Circuit
from siit.show.effects import Effects
from siit.show.words import share

_NONE = "–"


def part_rows(circuit: Circuit, certificate: Certificate, effects: Effects) -> list[tuple[str, str, str, str]]:
    """Lists the circuit's nodes and edges with what was measured of each.

    Args:
        circuit: the labels.
        certificate: its effects are shares of the positions at which the causal model's answer changes.
        effects: shares of all scored answers, with one part replaced alone.

    Returns:
        Part, what it carries, and both shares with the numbers of answers that they are shares of.

    Raises:
        KeyError: the certificate lacks how one of its effects was measured.
    """
    rows = [
        (
            node,
            circuit.unit_of.get(node, ""),
            _of(effects.nodes[node], effects.scored),
            _NONE if node in EMBEDDINGS else _effect(certificate, "nodes", node),
        )
        for node in circuit.members
        if node != LOGITS
    ]
    for edge, carries in circuit.carries.items():
        words = carries or f"within {circuit.unit_of.get(edge.receiver, LOGITS)}"
        effect = _NONE if carries is None else _effect(certificate, "edges", carries)
        rows.append((str(edge), words, _of(effects.edges[edge], effects.scored), effect))
    return rows


def _effect(certificate: Certificate, part: str, name: str) -> str:
    """The certificate's effect of a node or a high-level edge, with its denominator."""
    if certificate.effect is None:
        return "not measured"
    values: Mapping[str, float] = getattr(certificate.effect, part)
    if name not in values:
        return _NONE
    how: Mapping[str, Any] = certificate.details["effect"][part][name]
    zeroed = ", replaced by zero" if how["by"] == "zero" else ""
    if how["measure"] == "logits":
        return f"logits change by {values[name]:.3g} at {how['positions']:,}{zeroed}"
    return f"{_of(values[name], how['positions'])}{zeroed}"


def _of(value: float, count: int) -> str:
    return f"{share(value)} % of {count:,}"
