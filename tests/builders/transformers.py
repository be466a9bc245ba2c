"""Draws random transformers, circuits and patches, and computes what the reference executor makes of them."""

from __future__ import annotations

import dataclasses
import itertools
import random
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from siit.certificate import ReferenceModel
from siit.graph.architecture import ACTIVATIONS, DIRECTIONS, NORMALIZATIONS, ModelConfig, components, edges
from siit.graph.circuit import Circuit
from siit.transformer import BatchPatch, PatchPoints, Transformer

BATCH = 4
SIZES: dict[str, Any] = {
    "n_heads": 3,
    "d_model": 8,
    "d_head": 5,
    "d_mlp": 7,
    "n_ctx": 6,
    "d_vocab": 5,
    "d_vocab_out": 3,
}
"""d_head times n_heads is not d_model."""
ARCHITECTURES = list(itertools.product(DIRECTIONS, NORMALIZATIONS, (3, 1)))
"""Direction of attention, normalization and number of logits."""
SEEDS = st.integers(0, 1 << 16)


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    """Draws small architectures of every kind."""
    changes = {
        "n_layers": draw(st.integers(1, 3)),
        "n_heads": draw(st.integers(1, 3)),
        "act_fn": draw(st.sampled_from(ACTIVATIONS)),
        "attention_dir": draw(st.sampled_from(DIRECTIONS)),
        "normalization_type": draw(st.sampled_from(NORMALIZATIONS)),
    }
    return ModelConfig(**SIZES | changes)


def model_and_tokens(config: ModelConfig, seed: int) -> tuple[Transformer, Tensor]:
    """Makes a model in double precision with biases and gains that are not trivial, and tokens for it."""
    generator = torch.Generator().manual_seed(seed)
    model = Transformer(config, seed=seed).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.rpartition(".")[2].startswith(("b", "w")):
                parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.3)
    tokens = torch.randint(config.d_vocab, (BATCH, config.n_ctx), generator=generator)
    return model, tokens


def padded_model(direction: str, norm: str | None, d_vocab_out: int) -> tuple[Transformer, Tensor]:
    """Makes a model in single precision, and sequences that end in one and the same id, as padding does."""
    kind = {"attention_dir": direction, "normalization_type": norm, "d_vocab_out": d_vocab_out}
    config = ModelConfig(**SIZES | {"n_layers": 2} | kind)
    double, tokens = model_and_tokens(config, seed=0)
    model = Transformer(config)
    model.load_state_dict({name: tensor.float() for name, tensor in double.state_dict().items()})
    tokens[0, 2:] = tokens[1, 4:] = config.d_vocab - 1
    return model, tokens


def some_circuit(config: ModelConfig, seed: int) -> Circuit:
    """Draws half of the components, each a unit of its own, and half of the edges between them."""
    draw = random.Random(seed)
    members = [name for name in components(config) if draw.random() < 0.5]
    return circuit_of(config, members, draw)


def whole_circuit(config: ModelConfig, seed: int | None) -> Circuit:
    """Takes all components, and half of the edges; none where there is no seed."""
    return circuit_of(config, components(config), None if seed is None else random.Random(seed))


def circuit_of(config: ModelConfig, members: list[str], draw: random.Random | None) -> Circuit:
    """Makes members that are units of their own; half of the edges between them, none without a draw."""
    empty = Circuit(config, {f"v{name}": (name,) for name in members}, {})
    if draw is None:
        return empty
    carries = {edge: f"edge {edge}" for edge in edges(config, empty.members) if draw.random() < 0.5}
    return dataclasses.replace(empty, carries=carries)


def some_patch(circuit: Circuit, tokens: Tensor, seed: int) -> BatchPatch:
    """Draws masks of their own for each example; replacements that no run would give."""
    generator = torch.Generator().manual_seed(seed)
    points = PatchPoints(circuit)
    batch, positions = tokens.shape

    def values() -> list[Tensor]:
        shape = (batch, positions, circuit.config.d_model)
        return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in points.senders]

    return BatchPatch(
        points=points,
        nodes=torch.rand(len(points.senders), batch, generator=generator) < 0.4,
        edges=torch.rand(len(points.edges), batch, generator=generator) < 0.5,
        interchange=values(),
        ablation=values(),
    )


def reference_run(
    model: Transformer, tokens: Tensor, positions: Tensor | None, patch: BatchPatch
) -> tuple[Tensor, list[Tensor]]:
    """Computes logits and senders as the reference executor computes them, one example at a time."""
    reference = ReferenceModel(model.config, dict(model.state_dict()))
    points, on_circuit = patch.points, patch.points.members
    logits, senders = [], []
    for row in range(len(tokens)):
        one = slice(row, row + 1)
        clean = reference.run(tokens[one], None if positions is None else positions[one])
        nodes = {
            name: (patch.interchange if name in on_circuit else patch.ablation)[index][one]
            for index, name in enumerate(points.senders)
            if patch.nodes[index, row]
        }
        terms = {
            edge: (patch.interchange if edge in points.circuit.carries else patch.ablation)[
                points.senders.index(edge.sender)
            ][one]
            for index, edge in enumerate(points.edges)
            if patch.edges[index, row]
        }
        run = reference.patched(clean, nodes, terms)
        logits.append(run.logits)
        senders.append([run.outputs[name] for name in points.senders])
    return torch.cat(logits), [torch.cat(rows) for rows in zip(*senders, strict=True)]
