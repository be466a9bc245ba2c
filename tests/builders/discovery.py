"""Makes discovery tasks: of random models, of linear ones, and of the certified model of the tests."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch

import siit
from siit.discovery import DiscoveryTask, task_of
from siit.graph.architecture import ModelConfig
from siit.loading import LoadedModel
from siit.transformer import Transformer
from tests.builders.transformers import SIZES, model_and_tokens

DATA = Path(__file__).parents[1] / "data"
QUICK: dict[str, dict[str, Any]] = {
    "subnetwork_probing": {"steps": 60},
    "edge_pruning": {"steps": 60},
}
"""Parameters with which the slow methods take a second."""


@functools.cache
def certified() -> LoadedModel:
    """Loads frac_prevs."""
    return siit.load(DATA, "frac_prevs")


def certified_task(n_pairs: int = 64, **how: Any) -> DiscoveryTask:
    """Makes a task of it."""
    return task_of(certified(), n_pairs, **how)


def random_task(direction: str, norm: str | None, d_vocab_out: int, seed: int = 0, **changes: Any) -> DiscoveryTask:
    """Makes a task of a random model in double precision: four pairs, with permuted positions."""
    sizes = SIZES | {"n_layers": 2, "d_vocab_out": d_vocab_out}
    config = ModelConfig(**sizes | changes, attention_dir=direction, normalization_type=norm)
    model, clean = model_and_tokens(config, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    corrupted = torch.randint(config.d_vocab, clean.shape, generator=generator)
    scored = torch.rand(clean.shape, generator=generator) < 0.5
    scored[:, 2] = True
    return DiscoveryTask(
        model,
        "numerical" if d_vocab_out == 1 else "categorical",
        clean,
        corrupted,
        scored,
        torch.randn(clean.shape, generator=generator)
        if d_vocab_out == 1
        else torch.randint(d_vocab_out, clean.shape, generator=generator),
        torch.rand(clean.shape, generator=generator).argsort(1),
    )


def linear_task() -> DiscoveryTask:
    """Makes a task of a model in which all is linear: attention is even, and the MLPs' ReLUs are always open."""
    task = random_task("causal", None, 3, act_fn="relu")
    with torch.no_grad():
        for block in cast("Iterable[Any]", task.model.blocks):
            for name in ("W_Q", "W_K", "b_Q", "b_K"):
                getattr(block.attn, name).zero_()
            block.mlp.b_in += 100.0
            block.mlp.b_out -= 100.0 * block.mlp.W_out.sum(0)
    return task


def silent(model: Transformer) -> None:
    """Makes every component of a model write zeros."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("unembed"):
                parameter.zero_()
