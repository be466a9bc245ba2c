"""Makes a release of three small models, and results on it as `siit evaluate` writes them."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import siit
from siit.evaluation import Bench, Evaluation, EvaluationSetting
from siit.evaluation.files import Results
from siit.evaluation.overview import Overview
from siit.leaderboard.release import Release, read_release
from tests.builders import handmade
from tests.builders.evaluations import two_models

METHODS = ("eap", "information_flow", "exact_zero", "hisp")
"""Quick ones; the last scores nodes alone."""


@functools.cache
def release_root() -> Path:
    """Makes a bundle of frac_prevs, and of the hand-written model as seeds 0 and 1."""
    root = two_models(Path(tempfile.mkdtemp()))
    handmade.put(root, seed=1)
    return root


@functools.cache
def release() -> Release:
    """Reads it."""
    return read_release([release_root()])


@functools.cache
def evaluations() -> tuple[Evaluation, ...]:
    """Evaluates the methods on it, under the board's setting."""
    found = []
    for (case, seed), entry in release().entries.items():
        bench = Bench(siit.load(release_root(), case, seed), EvaluationSetting(), entry.manifest_sha256)
        found += [bench.evaluate(method) for method in METHODS]
    return tuple(found)


def results(
    chosen: Callable[[Evaluation], bool] = lambda one: True,
    change: Callable[[Evaluation], Evaluation] = lambda one: one,
    **others: Any,
) -> Results:
    """Makes results of some of these evaluations, with what a test has made of them."""
    made = tuple(change(dataclasses.replace(one, scores={})) for one in evaluations() if chosen(one))
    return dataclasses.replace(Results(made, (), Overview((), (), ())), **others)
