"""Grades labels: under which replacement an edge on the circuit can be seen, and which others are certified off it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from siit.graph.architecture import Edge, edges
from siit.graph.circuit import Circuit
from siit.scoring.labelled import Labelled

Grade = Literal["resampled", "permuted", "zero", "off", "unlabelled"]
INDICES = "indices"
"""The input that holds positions; its home, `siit.causal`, would have --help wait for torch."""
GRADES: tuple[Grade, ...] = ("resampled", "permuted", "zero", "off", "unlabelled")


def grades(model: Labelled) -> dict[Edge, Grade]:
    """Grades every edge of a model, by what its certificate measured.

    - `resampled`: on the circuit; what it carries moves answers when it comes from another input.
    - `permuted`: on the circuit, and carries what depends on positions only. It moves answers when it comes from a run
      with permuted positions.
    - `zero`: on the circuit, and never changes on any pair; it moves answers when it is replaced by zero.
    - `off`: off the circuit; replaced alone, under every kind that the certificate measures, it reaches the bar.
    - `unlabelled`: neither was measured, or not passed.

    An edge between two nodes of one unit has its unit's grade.

    Args:
        model: with its circuit and certificate.

    Raises:
        ValueError: a certificate without effects or shares of edges.
    """
    circuit, certificate = model.circuit, model.certificate
    try:
        how, effect = certificate["details"]["effect"], certificate["effect"]
        alone, bar = certificate["details"].get("strict_edge", {}), certificate["bars"]["strict_edge"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"certificate: found no {error}, accepted is one whose effects were measured") from error
    found: dict[Edge, Grade] = {}
    for edge in edges(circuit.config):
        if edge not in circuit.carries:
            found[edge] = "off" if alone.get(str(edge), 0.0) >= bar else "unlabelled"
            continue
        carried, unit = circuit.carries[edge], circuit.unit_of.get(edge.sender, "")
        part, name = ("units", unit) if carried is None else ("edges", carried)
        senders = unit if carried is None else carried.partition("->")[0]
        if not effect[part].get(name, 0.0) > 0:
            found[edge] = "unlabelled"
        elif how[part][name]["by"] == "zero":
            found[edge] = "zero"
        else:
            found[edge] = "permuted" if _of_positions(circuit, senders.split("+")) else "resampled"
    return found


def _of_positions(circuit: Circuit, names: Sequence[str]) -> bool:
    """Tells whether inputs or variables depend on positions only; one of which nothing is known does not."""
    waiting, seen = list(names), {INDICES}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parents = _parents(circuit, name)
        if not parents:
            return False
        waiting += parents
    return True


def _parents(circuit: Circuit, name: str) -> list[str]:
    """Lists what a variable reads; nothing of an input."""
    slots = circuit.variables.get(name, {}).get("parents", {})
    return [parent for of_slot in slots.values() for parent in of_slot]
