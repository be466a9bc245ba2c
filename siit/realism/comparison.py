"""Compares scores of edges between models: those that correspond, and how alike their order is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from siit.graph.architecture import Edge, edges, is_head, layer_of
from siit.graph.circuit import Circuit
from siit.scoring.ranking import chance, rank


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Computes the rank correlation of two series (Spearman, 1904); equal values share their mean rank.

    Args:
        one, other: of the same length.

    Returns:
        -1 to 1; None for fewer than three values, or where a series has one value only.
    """
    left, right = (_ranks(np.asarray(series, dtype=float)) for series in (one, other))
    if len(one) < 3 or left.std() == 0 or right.std() == 0:
        return None
    return float(np.corrcoef(left, right)[0, 1])


def by_layer(scores: Mapping[str, float], circuit: Circuit) -> dict[str, float]:
    """Merges edges that differ only in which heads of their layers they join: heads of a layer have no order.

    Args:
        scores: edge -> its score.
        circuit: of the model; only its architecture is looked at.

    Returns:
        `a0->m1`, `m0->a1<q>` and so on -> the best score.
    """

    def merged(node: str) -> str:
        return f"a{layer_of(node)}" if is_head(node) else node

    names = {
        str(edge): str(Edge(merged(edge.sender), merged(edge.receiver), edge.slot)) for edge in edges(circuit.config)
    }
    return _best((names[edge], score) for edge, score in scores.items())


def by_carried(scores: Mapping[str, float], circuit: Circuit) -> dict[str, float]:
    """Merges edges that carry the same edge of the causal model, and leaves out all others.

    Args:
        scores: edge -> its score.
        circuit: the labels.

    Returns:
        Edge of the causal model -> the best score.
    """
    return _best((name, scores[str(edge)]) for name, carriers in circuit.edges_by_carried.items() for edge in carriers)


def average_precision(scores: Mapping[str, float], circuit: Circuit, visible: Collection[str]) -> tuple[float, float]:
    """Measures how well scores put the circuit's visible edges before those off the circuit.

    Args:
        scores: edge -> its score.
        circuit: the labels.
        visible: the edges of the causal model that count; others on the circuit are not ranked.

    Returns:
        The average precision, and what a random order expects.
    """
    ranked = {edge: name in visible for edge, name in circuit.carries.items() if name in visible}
    ranked |= dict.fromkeys(circuit.off_edges, False)
    labels = np.array(list(ranked.values()))
    found = rank(labels, np.array([scores[str(edge)] for edge in ranked]))
    return found.average_precision, chance(found.positives, found.negatives).average_precision


def _ranks(values: Float[np.ndarray, " values"]) -> Float[np.ndarray, " values"]:
    ordered, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place] if len(ordered) else values


def _best(named: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, score in named:
        found[name] = max(score, found.get(name, score))
    return found
