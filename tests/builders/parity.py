"""Makes the tasks on which public implementations of discovery methods were recorded: 16 pairs, positions in place."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from siit.discovery import DiscoveryTask, task_of
from siit.graph.architecture import ModelConfig
from tests.builders.discovery import certified
from tests.builders.evaluations import hand_written
from tests.builders.transformers import SIZES, model_and_tokens

PAIRS = 16


def frac_prevs() -> DiscoveryTask:
    """Takes the certified model of the tests: numbers, two layers, LayerNorm."""
    return task_of(certified(), PAIRS, permute_positions=False)


@functools.cache
def previous_is_x() -> DiscoveryTask:
    """Takes the model whose weights are written by hand: two classes, causal, ReLU, no LayerNorm."""
    return task_of(hand_written(Path(tempfile.mkdtemp())), PAIRS, permute_positions=False)


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


TASKS: dict[str, Callable[[], DiscoveryTask]] = {
    "frac_prevs": frac_prevs,
    "previous_is_x": previous_is_x,
    "random_weights": random_weights,
}
"""Name of the record -> what makes its task."""
