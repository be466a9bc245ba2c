"""Computes the structure null: how likely each edge and node is on the circuit of a model of another seed.

How many heads a variable has, and whether the MLP of its layer too, follows from the causal model
(`siit.interchange.capacity`). It is the same for every seed, and is read off the circuit's own alignment. Where these
nodes are is drawn from the seed (`siit.interchange.alignment.draw_alignment`). A program's layers go to increasing
layers of the model, all choices being equally likely. Within a layer any set of heads is as likely as any other, so
that the chances of a variable's heads add up.

Who knows the program and this rule, but neither seed nor weights nor data, expects no higher ROC AUC or precision at
size than these probabilities have. Average precision can be higher: the edges of one placement go together. They give
away, for example, that `logits` reads late layers and that few circuits fill all heads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction

from siit.graph.architecture import (
    EMBEDDINGS,
    Edge,
    ModelConfig,
    components,
    edges,
    head,
    is_head,
    is_mlp,
    layer_of,
    mlp,
)
from siit.graph.circuit import Circuit


def edge_probabilities(circuit: Circuit) -> dict[Edge, float]:
    """Computes every edge's probability of being on the circuit, over all placements of the same circuit.

    Args:
        circuit: gives the architecture, and how its members are connected.
    """
    config, ranks = circuit.config, _ranks(circuit)
    total = dict.fromkeys(edges(config), Fraction(0))
    for edge in circuit.carries:
        ends = (edge.sender, edge.receiver)
        fixed = sorted({ranks[layer_of(node)] for node in ends if _is_placed(node)})
        for layers in itertools.combinations(range(config.n_layers), len(fixed)):
            place = dict(zip(fixed, layers, strict=True))
            chance = _chance(place, len(ranks), config.n_layers)
            senders, receivers = (
                _images(node, place[ranks[layer_of(node)]], config) if _is_placed(node) else [node] for node in ends
            )
            share = chance / (len(senders) * len(receivers))
            for sender, receiver in itertools.product(senders, receivers):
                total[Edge(sender, receiver, edge.slot)] += share
    return {edge: float(chance) for edge, chance in total.items()}


def node_probabilities(circuit: Circuit) -> dict[str, float]:
    """Computes the same for heads, MLPs and embeddings.

    An embedding has no other place: 1 where an edge of the circuit leaves it, else 0.

    Args:
        circuit: gives the architecture, and how its members are connected.
    """
    read = {edge.sender for edge in circuit.carries}
    found = {name: float(name in read) for name in EMBEDDINGS}
    by_unit = unit_probabilities(circuit).values()
    return found | {node: float(sum(chances[node] for chances in by_unit)) for node in components(circuit.config)}


def unit_probabilities(circuit: Circuit) -> dict[str, dict[str, Fraction]]:
    """Computes how likely each head and MLP carries each unit, over all placements of the same circuit.

    Args:
        circuit: gives the architecture, and how its members are connected.
    """
    config, ranks = circuit.config, _ranks(circuit)
    found: dict[str, dict[str, Fraction]] = {}
    for unit, nodes in circuit.alignment.items():
        total = found[unit] = dict.fromkeys(components(config), Fraction(0))
        for node in nodes:
            rank = ranks[layer_of(node)]
            for layer in range(config.n_layers):
                images = _images(node, layer, config)
                share = _chance({rank: layer}, len(ranks), config.n_layers) / len(images)
                for image in images:
                    total[image] += share
    return found


def _ranks(circuit: Circuit) -> dict[int, int]:
    """Numbers the layers that have members of the circuit, from 0 in their order."""
    return {layer: rank for rank, layer in enumerate(sorted({layer_of(node) for node in circuit.unit_of}))}


def _is_placed(node: str) -> bool:
    return is_head(node) or is_mlp(node)


def _images(node: str, layer: int, config: ModelConfig) -> list[str]:
    """Lists the nodes of a layer that a node can become there."""
    return [head(layer, index) for index in range(config.n_heads)] if is_head(node) else [mlp(layer)]


def _chance(place: Mapping[int, int], used: int, n_layers: int) -> Fraction:
    """Computes the share of the increasing placements of `used` layers that put each rank where `place` does."""
    ways = 1
    for (rank, layer), (next_rank, next_layer) in itertools.pairwise([(-1, -1), *place.items(), (used, n_layers)]):
        ways *= math.comb(next_layer - layer - 1, next_rank - rank - 1)
    return Fraction(ways, math.comb(n_layers, used))
