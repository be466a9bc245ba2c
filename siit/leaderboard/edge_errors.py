"""Finds a method's errors: of its first edges, as many as the circuit has, those that are not on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from siit.evaluation.rating import visible
from siit.graph.architecture import Edge, edges
from siit.loading import LoadedCircuit
from siit.scoring import grades


@dataclass(frozen=True)
class EdgeErrors:
    """What a method's first edges are, as many as are on the circuit and can be seen.

    Attributes:
        found: on the circuit.
        false: not on it.
        missed: on the circuit, and not among them.
        unseen: on the circuit; not ranked, since the corruption does not show them.
    """

    found: tuple[Edge, ...]
    false: tuple[Edge, ...]
    missed: tuple[Edge, ...]
    unseen: tuple[Edge, ...]


def edge_errors(labels: LoadedCircuit, places: Sequence[int], corruption: str) -> EdgeErrors:
    """Finds the errors. Of edges that share a place, those come first that the architecture lists first.

    Args:
        labels: of the model.
        places: of every edge, see `siit.evaluation.Evaluation`.
        corruption: see `siit.evaluation.EvaluationSetting`.
    """
    graded, shown = grades(labels), visible(corruption)
    place_of = dict(zip(edges(labels.config), places, strict=True))
    ranked = sorted((edge for edge in place_of if graded[edge] in shown), key=place_of.__getitem__)
    true = [edge for edge in ranked if edge in labels.circuit.carries]
    first = ranked[: len(true)]
    return EdgeErrors(
        found=tuple(edge for edge in first if edge in labels.circuit.carries),
        false=tuple(edge for edge in first if edge not in labels.circuit.carries),
        missed=tuple(edge for edge in true if edge not in first),
        unseen=tuple(edge for edge in labels.circuit.carries if graded[edge] not in shown),
    )
