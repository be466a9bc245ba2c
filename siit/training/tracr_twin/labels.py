"""Labels of compiled weights, exact: a node writes into some directions, and another reads some of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from siit.causal import INDICES, OUTPUT, TOKENS, CausalModel
from siit.graph.architecture import (
    LOGITS,
    POS_EMBED,
    TOK_EMBED,
    Edge,
    ModelConfig,
    Slot,
    components,
    edges,
    head,
    is_head,
    mlp,
)
from siit.graph.circuit import Circuit
from siit.interchange.alignment import Alignment, derive_labels
from siit.training.tracr_twin.weights import TwinWeights

Parameters = Mapping[str, Float[Tensor, "..."]]


def twin_circuit(weights: TwinWeights, model: CausalModel, variables: Mapping[str, str]) -> Circuit:
    """Reads a compiled model's circuit off its weights.

    What a sender can write, times the matrix by which a receiver reads, is zero for an edge off the circuit, and only
    for such. One on it carries the edge of the causal model that the alignment puts there. Where that has none,
    its name is made of what the nodes compute: every head reads in `k` which token is BOS, and PAD.

    Args:
        weights: the compiled model.
        model: the program's causal model.
        variables: Tracr's label -> the variable, see `variables_by_label`.
    """
    written, read = _written(weights.config, weights.parameters), _read(weights.config, weights.parameters)
    alignment = _alignment(weights, written, model, variables)
    derived = derive_labels(model, weights.config, alignment).circuit
    names = {TOK_EMBED: TOKENS, POS_EMBED: INDICES, LOGITS: OUTPUT, **derived.unit_of}

    def carried(edge: Edge) -> str:
        slot = f"<{edge.slot}>" if edge.slot else ""
        return derived.carries.get(edge) or f"{names[edge.sender]}->{names[edge.receiver]}{slot}"

    return Circuit(
        config=weights.config,
        alignment=derived.alignment,
        carries={
            edge: carried(edge)
            for edge in edges(weights.config, derived.members)
            if bool((written[edge.sender] @ read[edge.receiver, edge.slot]).any())
        },
        roles=derived.roles,
        variables=derived.variables,
        programs=derived.programs,
    )


def _alignment(
    weights: TwinWeights, written: Mapping[str, Tensor], model: CausalModel, variables: Mapping[str, str]
) -> Alignment:
    """Finds the node that writes into each variable's directions.

    The MLP of a selector width also writes into the directions of its attention half: at BOS it removes what the head
    left there. Such a variable is its head's alone.
    """
    owner = [_variable(name, variables) for name in weights.directions]
    nodes: dict[str, tuple[str, ...]] = {}
    for node in components(weights.config):
        used = {owner[index] for index in written[node].any(0).nonzero().flatten().tolist()}
        for name in model.variables:
            if name in used and model.variables[name].is_attention == is_head(node):
                nodes[name] = (*nodes.get(name, ()), node)
    # In the causal model's order.
    return {name: nodes[name] for name in model.variables if name in nodes}


def _variable(direction: str, variables: Mapping[str, str]) -> str | None:
    """Finds the variable of a direction, `<label>:<value>` or `<label>`; None for the inputs'."""
    for label, name in variables.items():
        if direction == label or direction.startswith(f"{label}:"):
            return name
    return None


def _written(config: ModelConfig, parameters: Parameters) -> dict[str, Float[Tensor, "some d_model"]]:
    """Finds what spans each sender's outputs."""
    found = {TOK_EMBED: parameters["embed.W_E"], POS_EMBED: parameters["pos_embed.W_pos"]}
    for layer in range(config.n_layers):
        block = f"blocks.{layer}"
        through = parameters[f"{block}.attn.W_V"] @ parameters[f"{block}.attn.W_O"]
        found |= {head(layer, index): matrix for index, matrix in enumerate(through)}
        found[mlp(layer)] = parameters[f"{block}.mlp.W_out"]
    return found


def _read(config: ModelConfig, parameters: Parameters) -> dict[tuple[str, Slot | None], Float[Tensor, "d_model some"]]:
    """Finds the matrix by which each slot reads; of queries and keys, what can become a score."""
    found: dict[tuple[str, Slot | None], Tensor] = dict(_read_by_heads(config, parameters))
    for layer in range(config.n_layers):
        found[mlp(layer), None] = parameters[f"blocks.{layer}.mlp.W_in"]
    found[LOGITS, None] = parameters["unembed.W_U"]
    return found


def _read_by_heads(
    config: ModelConfig, parameters: Parameters
) -> Iterator[tuple[tuple[str, Slot | None], Float[Tensor, "d_model some"]]]:
    for layer in range(config.n_layers):
        block = f"blocks.{layer}.attn"
        weights = {slot: parameters[f"{block}.W_{slot}"] for slot in "QKVO"}
        biased = {slot: torch.cat([weights[slot], parameters[f"{block}.b_{slot}"].unsqueeze(1)], 1) for slot in "QK"}
        for index in range(config.n_heads):
            yield (head(layer, index), "q"), weights["Q"][index] @ biased["K"][index].T
            yield (head(layer, index), "k"), weights["K"][index] @ biased["Q"][index].T
            yield (head(layer, index), "v"), weights["V"][index] @ weights["O"][index]
