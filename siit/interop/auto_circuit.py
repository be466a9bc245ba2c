"""Edges under the names of AutoCircuit (PyPI `auto-circuit`), both ways, and its scores by our names.

Both embeddings are one sender there, `Resid Start`; the logits are `Resid End`, heads `A0.1`, MLPs `MLP 0`. An edge is
`A0.1->A1.2.V`, which is `a0.h1->a1.h2<v>` here.
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from siit.graph.architecture import (
    EMBEDDINGS,
    LOGITS,
    Edge,
    ModelConfig,
    components,
    edges,
    head_index,
    is_head,
    layer_of,
)
from siit.graph.hooks import receiver_hook
from siit.scoring.score import INPUT


def auto_circuit_name(edge: Edge) -> str:
    """Writes an edge as AutoCircuit names it; those from `tok_embed`, `pos_embed` and `input` are one."""
    slot = f".{edge.slot.upper()}" if edge.slot else ""
    return f"{_node(edge.sender)}->{_node(edge.receiver)}{slot}"


def edges_by_auto_circuit_names(config: ModelConfig) -> dict[str, str]:
    """Lists AutoCircuit's edges of an architecture, with the names that `siit.score` takes (from `input`, ...).

    Its models are factorized and have separate q, k and v.

    Args:
        config: the architecture.
    """
    return {auto_circuit_name(edge): str(_merged(edge)) for edge in edges(config)}


def from_prune_scores(scores: Mapping[str, Float[Tensor, "..."]], config: ModelConfig) -> dict[str, float]:
    """Reads scores as AutoCircuit's algorithms give them; absolute values, by the names that `siit.score` takes.

    Args:
        scores: module of the receiver -> [head, sender], or [sender] where it has no heads.
        config: the architecture.

    Raises:
        ValueError: names the module that is missing.
    """
    place = {name: index for index, name in enumerate((INPUT, *components(config)))}
    found = {}
    for edge in dict.fromkeys(map(_merged, edges(config))):
        module = receiver_hook(edge, config).partition("[")[0]
        if module not in scores:
            raise ValueError(f"scores: found none of {module}, accepted is a tensor for every receiver")
        of_receiver = scores[module][head_index(edge.receiver)] if is_head(edge.receiver) else scores[module]
        found[str(edge)] = abs(float(of_receiver[place[edge.sender]]))
    return found


def _merged(edge: Edge) -> Edge:
    return Edge(INPUT if edge.sender in EMBEDDINGS else edge.sender, edge.receiver, edge.slot)


def _node(name: str) -> str:
    if name in (*EMBEDDINGS, INPUT):
        return "Resid Start"
    if name == LOGITS:
        return "Resid End"
    return f"A{layer_of(name)}.{head_index(name)}" if is_head(name) else f"MLP {layer_of(name)}"
