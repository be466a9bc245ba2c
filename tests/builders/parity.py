"""Makes the tasks on which public implementations of discovery methods were recorded: 16 pairs, positions in place."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import siit
from siit.discovery import DiscoveryTask, task_of
from siit.graph.architecture import ModelConfig, components, edges
from siit.graph.circuit import Circuit
from siit.loading import LoadedModel
from siit.transformer import Transformer
from tests.builders.discovery import DATA, certified
from tests.builders.evaluations import hand_written
from tests.builders.transformers import SIZES, model_and_tokens

PAIRS = 16
PARTS = ("scores", "circuit")
"""Of a record: scores of edges by several methods, and what the circuit alone answers."""


def frac_prevs() -> DiscoveryTask:
    """Takes the certified model of the tests: numbers, two layers, LayerNorm."""
    return task_of(certified(), PAIRS, permute_positions=False)


@functools.cache
def by_hand() -> LoadedModel:
    """Loads the model whose weights are written by hand."""
    return hand_written(Path(tempfile.mkdtemp()))


@functools.cache
def previous_is_x() -> DiscoveryTask:
    """Takes that model: two classes, causal, ReLU, no LayerNorm."""
    return task_of(by_hand(), PAIRS, permute_positions=False)


@functools.cache
def random_weights() -> DiscoveryTask:
    """Draws a model of three layers: three classes, attention in both directions, LayerNorm; every edge matters."""
    config = ModelConfig(**SIZES, n_layers=3, attention_dir="bidirectional", normalization_type="LN")
    model = model_and_tokens(config, 0)[0].float()
    generator = torch.Generator().manual_seed(1)
    clean, corrupted = torch.randint(config.d_vocab, (2, PAIRS, config.n_ctx), generator=generator)
    scored = torch.ones_like(clean, dtype=torch.bool)
    scored[:, 0] = False
    target = torch.randint(config.d_vocab_out, clean.shape, generator=generator)
    return DiscoveryTask(model, "categorical", clean, corrupted, scored, target)


def drawn_circuit() -> Circuit:
    """Draws half of that model's edges; all its heads and MLPs are members."""
    config = random_weights().config
    all_edges = list(edges(config))
    on = torch.rand(len(all_edges), generator=torch.Generator().manual_seed(2)) < 0.5
    carries = {edge: None for edge, is_on in zip(all_edges, on.tolist(), strict=True) if is_on}
    return Circuit(config, {"all": tuple(components(config))}, carries)


@functools.cache
def shipped(case: str) -> LoadedModel:
    """Loads a model of the starter release."""
    return siit.load(DATA.parents[1] / "checkpoints", case)


def shipped_frac_prevs() -> DiscoveryTask:
    """Takes a larger model of frac_prevs."""
    return task_of(shipped("frac_prevs"), PAIRS, permute_positions=False)


def shipped_detect_abc() -> DiscoveryTask:
    """Takes a model of three layers, the circuit of which has eleven edges."""
    return task_of(shipped("detect_abc"), PAIRS, permute_positions=False)


def with_pairs(task: DiscoveryTask, record: dict[str, Any]) -> DiscoveryTask:
    """Gives a task the pairs of a record."""
    clean, corrupted, scored, target = (
        torch.tensor(record[field]) for field in ("clean", "corrupted", "scored", "target")
    )
    return dataclasses.replace(task, clean=clean, corrupted=corrupted, scored=scored, target=target)


def weights_digest(model: Transformer) -> str:
    """Hashes a model's weights."""
    tensors = sorted(model.state_dict().items())
    return hashlib.sha256(b"".join(tensor.cpu().numpy().tobytes() for _, tensor in tensors)).hexdigest()


TASKS: dict[str, Callable[[], DiscoveryTask]] = {
    "frac_prevs": frac_prevs,
    "previous_is_x": previous_is_x,
    "random_weights": random_weights,
}
"""Name of the record -> what makes its task."""

SHIPPED: dict[str, Callable[[], DiscoveryTask]] = {
    "shipped_frac_prevs": shipped_frac_prevs,
    "shipped_detect_abc": shipped_detect_abc,
}
"""Models of the starter release, likewise; of these circuits alone are recorded."""
CIRCUITS: dict[str, Callable[[], tuple[Circuit, float | None]]] = {
    "frac_prevs": lambda: (certified().circuit, certified().tolerance),
    "previous_is_x": lambda: (by_hand().circuit, by_hand().tolerance),
    "random_weights": lambda: (drawn_circuit(), None),
    "shipped_frac_prevs": lambda: (shipped("frac_prevs").circuit, shipped("frac_prevs").tolerance),
    "shipped_detect_abc": lambda: (shipped("detect_abc").circuit, shipped("detect_abc").tolerance),
}
"""Name of the record -> the circuit, and how far a number may be off."""
