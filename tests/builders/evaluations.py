"""Makes evaluations: by hand, of the hand-written model, and bundles of two models."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from pathlib import Path

import siit
from siit.evaluation import Evaluation, EvaluationSetting, evaluate
from siit.loading import LoadedModel
from tests.builders import handmade
from tests.builders.discovery import DATA, certified


@functools.cache
def some() -> Evaluation:
    """Evaluates EAP on frac_prevs."""
    return evaluate(certified(), "eap", n_pairs=16)


def invented(method: str, case: str, average_precision: float, *, tier: str = "deep", seed: int = 0) -> Evaluation:
    """Changes that one into an evaluation with another average precision."""
    visible = dataclasses.replace(some().edge["visible"], average_precision=average_precision)
    return dataclasses.replace(
        some(), method=method, case=case, tier=tier, edge={"visible": visible}, setting=EvaluationSetting(seed=seed)
    )


def two_models(root: Path) -> Path:
    """Makes a bundle of frac_prevs and the hand-written model; returns its root."""
    shutil.copytree(DATA / "frac_prevs", root / "frac_prevs")
    handmade.put(root)
    return root


def hand_written(root: Path) -> LoadedModel:
    """Writes the hand-written model into a bundle and loads it."""
    handmade.put(root)
    (entry,) = siit.list_models(root)
    return siit.load(root, entry.case, entry.seed)
