"""Composes the real configuration at a small size."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

from omegaconf import DictConfig

from siit.training.configuration.overrides import composed

SMALL = (
    "case=frac_prevs",
    "model=interpbench",
    "model.d_model=16",
    "trainer.max_steps=30",
    "trainer.check_every=10",
    "trainer.batch_size=16",
    "trainer.validation_pairs=32",
    "trainer.warmup_steps=5",
    "trainer.progress_bar=false",
    "trainer.accelerator=cpu",
    "objective.circuit_first=0.3",
    "allow_uncertified=true",
)
"""A run of seconds that is not expected to be certified."""

Compose = Callable[..., DictConfig]


def compose_small(*overrides: str) -> DictConfig:
    """Composes the small run, with overrides; a copy, for Hydra takes a sixth of a second."""
    return copy.deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    return composed(*SMALL, *overrides)
