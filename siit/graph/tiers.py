"""Grades circuits by how much there is to find, so that scores on trivial ones are told apart from others."""

from __future__ import annotations

from siit.graph.architecture import EMBEDDINGS, LOGITS, earliest_layers, is_head
from siit.graph.circuit import Circuit

POINTWISE, SINGLE, COMPOSED, DEEP = TIERS = ("pointwise", "single", "composed", "deep")
DEEP_LAYERS = 4
"""Layers from which a circuit is deep."""


def tier(circuit: Circuit) -> str:
    """Grades a circuit by its nodes and edges alone: wherever they lie in the model, and whoever made them.

    - `pointwise`: no head is in the circuit, so that no position matters to another, however many MLPs are chained.
    - `single`: one attention step. The heads all belong to one unit, read the embeddings only, and no MLP is in the
      circuit but the one of their layer, which may decode what they write: all fits into one layer.
    - `composed`: two or more components that interact, at least one of them attention. The heads belong to
      two or more units; or they and the MLPs need two or three layers, since one reads what another wrote earlier.
    - `deep`: heads, and a chain of edges that needs four or more layers.

    Parts that were left out of the circuit because nothing can verify them (`excluded`) do not count.
    """
    units = {unit for node, unit in circuit.unit_of.items() if is_head(node)}
    if not units:
        return POINTWISE
    needed = layers(circuit)
    if needed >= DEEP_LAYERS:
        return DEEP
    return SINGLE if len(units) == 1 and needed == 1 else COMPOSED


def layers(circuit: Circuit) -> int:
    """Counts the fewest layers into which the circuit's edges could be laid; 0 where it has no heads and no MLPs."""
    hidden = [node for node in circuit.members if node not in (*EMBEDDINGS, LOGITS)]
    reads = {node: [edge.sender for edge in circuit.carries if edge.receiver == node] for node in hidden}
    return max(earliest_layers(reads, set(filter(is_head, hidden))).values(), default=-1) + 1
