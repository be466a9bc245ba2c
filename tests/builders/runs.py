"""Composes the real configuration at a small size, and trains with it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from pytorch_lightning import Callback

from siit.train import train
from siit.training.configuration.overrides import composed
from siit.training.configuration.settings import Settings
from siit.training.fit.checkpoints import RunFolder
from siit.training.fit.loop import Fitted, fit
from siit.training.fit.module import SIITModule
from siit.training.fit.plan import Plan, find_task, make_plan

SMALL = (
    "case=frac_prevs",
    "model=interpbench",
    "model.d_model=16",
    "trainer.max_steps=30",
    "trainer.check_every=10",
    "trainer.batch_size=16",
    "trainer.validation_pairs=32",
    "trainer.evidence_pairs=32",
    "trainer.warmup_steps=5",
    "trainer.progress_bar=false",
    "trainer.accelerator=cpu",
    "objective.circuit_first=0.3",
    "allow_uncertified=true",
)
"""A run of seconds, certified on far too few pairs."""

Compose = Callable[..., DictConfig]


def compose_small(*overrides: str) -> DictConfig:
    """Composes the small run, with overrides; a copy, for Hydra takes a sixth of a second."""
    return copy.deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> DictConfig:
    return composed(*SMALL, *overrides)


def plan_of(settings: Settings) -> Plan:
    """Makes the plan of a run, once for all runs that differ in how they are trained alone."""
    key = repr((settings.case, settings.model, settings.seed))
    if key not in _plans:
        _plans[key] = make_plan(find_task(settings.case), settings)
    return _plans[key]


_plans: dict[str, Plan] = {}


def stopped_as_whole(compose: Compose, root: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Holds a run whose labels change against one that is stopped whenever it goes on with the next.

    Args:
        compose: of overrides for where both go.
        root: below which they go.
        monkeypatch: stops them.
        times: how often the labels change.
    """
    whole = train(compose(f"out={root / 'whole'}"))
    for _ in range(times):  # each process trains once
        calls = itertools.count()

        def stopping(*arguments: Any, calls: Iterator[int] = calls, **further: Any) -> Fitted:
            if next(calls):
                raise KeyboardInterrupt
            return fit(*arguments, **further)

        monkeypatch.setattr("siit.training.fit.pipeline.fit", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(compose(f"out={root / 'stopped'}"))
    monkeypatch.setattr("siit.training.fit.pipeline.fit", fit)
    stopped = train(compose(f"out={root / 'stopped'}"))
    for name in ("model.safetensors", "circuit.json"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


def fitted(settings: Settings, root: Path, *callbacks: Callback) -> SIITModule:
    """Trains from the beginning to the end, without a certificate, in a run's folder below `root`."""
    folder = RunFolder(root, settings.case.name, settings.seed)
    folder.open({}, resume=False)
    return fit(plan_of(settings), settings, folder, callbacks=callbacks).module
