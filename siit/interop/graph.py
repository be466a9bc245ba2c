"""A circuit as a NetworkX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siit.architecture import EMBEDDINGS, LOGITS, edges, layer_of, nodes
from siit.interop.extras import require

if TYPE_CHECKING:
    from networkx import MultiDiGraph

    from siit.circuit import Circuit


def to_networkx(circuit: Circuit, *, whole: bool = False) -> MultiDiGraph:
    """The circuit as a directed graph; edges into a head are keyed by their slot, all others by "".

    Nodes have the attributes `in_circuit`, `unit`, `role` and `layer` (None for embeddings and logits), edges
    `in_circuit`, `slot` and `carries`. The graph's own attributes are `n_layers` and `n_heads`.

    Args:
        circuit: the labels.
        whole: all nodes and edges of the model, instead of those on the circuit.

    Raises:
        ImportError: NetworkX, which comes with PyTorch, is not installed.
    """
    networkx = require("networkx", extra="graph", needed_by="to_networkx")
    config, members = circuit.config, set(circuit.members)
    graph = networkx.MultiDiGraph(n_layers=config.n_layers, n_heads=config.n_heads)
    for node in nodes(config) if whole else circuit.members:
        attributes: dict[str, Any] = {
            "in_circuit": node in members,
            "unit": circuit.unit_of.get(node),
            "role": circuit.roles.get(node, ""),
            "layer": None if node in (*EMBEDDINGS, LOGITS) else layer_of(node),
        }
        graph.add_node(node, **attributes)
    for edge in edges(config) if whole else circuit.carries:
        graph.add_edge(
            edge.sender,
            edge.receiver,
            key=edge.slot or "",
            slot=edge.slot,
            in_circuit=edge in circuit.carries,
            carries=circuit.carries.get(edge),
        )
    return graph
