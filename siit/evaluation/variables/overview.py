"""Sums up evaluations of methods that locate variables: over the units of each model, then over models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from siit.evaluation.overview import ALL as EVERY
from siit.evaluation.overview import interval
from siit.evaluation.variables.result import ALL, APART, LocatedUnit, Placed, VariableEvaluation

HEADLINE = f"{APART}.average_precision"


def _view(view: str, pick: Callable[[Placed], float]) -> Callable[[LocatedUnit], float | None]:
    return lambda unit: pick(unit.views[view]) if view in unit.views else None


MEASURES: Mapping[str, Callable[[LocatedUnit], float | None]] = {
    f"{APART}.top_1": _view(APART, lambda placed: placed.top_1),
    f"{APART}.reciprocal_rank": _view(APART, lambda placed: placed.reciprocal_rank),
    HEADLINE: _view(APART, lambda placed: placed.average_precision),
    f"{APART}.above_random": _view(APART, lambda placed: placed.average_precision - placed.random.average_precision),
    f"{APART}.above_structure": _view(
        APART, lambda placed: placed.average_precision - placed.structure.average_precision
    ),
    f"{ALL}.top_1": _view(ALL, lambda placed: placed.top_1),
    f"{ALL}.reciprocal_rank": _view(ALL, lambda placed: placed.reciprocal_rank),
    f"{ALL}.average_precision": _view(ALL, lambda placed: placed.average_precision),
    "at_nodes": lambda unit: unit.at_nodes,
    "at_others": lambda unit: unit.at_others,
    "together": lambda unit: unit.together,
    "untouched": lambda unit: unit.untouched,
}
"""Name -> the number of a unit, None where it has none; see `LocatedUnit`. `above_random` and `above_structure` are
average precisions less the null's."""
SECONDS = "seconds"
"""A measure of a model."""


@dataclass(frozen=True)
class VariableMean:
    """A method's mean over models, each of which counts as the mean over its units, and over seeds of the draw.

    Attributes:
        group: `all`, `tier deep`, `family sorting`, ...
        method, positions, n_pairs: what was evaluated.
        measure: one of `MEASURES`, or `seconds`.
        models: how many.
        mean: over these.
        low, high: of the 95 % interval, by a percentile bootstrap over models; None for a single one.
    """

    group: str
    method: str
    positions: str
    n_pairs: int
    measure: str
    models: int
    mean: float
    low: float | None
    high: float | None


def of_model(one: VariableEvaluation, measure: str) -> float | None:
    """Averages a measure over the units of a model; None where no unit has it."""
    if measure == SECONDS:
        return one.seconds
    values = [value for unit in one.units.values() if (value := MEASURES[measure](unit)) is not None]
    return float(np.mean(values)) if values else None


def variable_means(evaluations: Sequence[VariableEvaluation]) -> tuple[VariableMean, ...]:
    """Averages over models: all, of each tier, and of each family.

    Args:
        evaluations: of any methods, models and settings.
    """
    groups = sorted({group for one in evaluations for group in _groups(one)}, key=lambda group: (group != EVERY, group))
    return tuple(
        mean for group in groups for mean in _means([one for one in evaluations if group in _groups(one)], group)
    )


def _means(evaluations: Sequence[VariableEvaluation], group: str) -> Iterable[VariableMean]:
    for measure in (*MEASURES, SECONDS):
        found: dict[tuple[str, str, int], dict[tuple[str, int], list[float]]] = {}
        for one in evaluations:
            value = of_model(one, measure)
            if value is not None:
                way = _way(one)
                found.setdefault(way, {}).setdefault((one.case, one.model_seed), []).append(value)
        for way, models in found.items():
            values = np.array([np.mean(some) for some in models.values()])
            low, high = interval(values)
            yield VariableMean(group, *way, measure, len(values), float(values.mean()), low, high)


def _way(one: VariableEvaluation) -> tuple[str, str, int]:
    return one.method, one.setting.positions, one.setting.n_pairs


def _groups(one: VariableEvaluation) -> tuple[str, str, str]:
    return EVERY, f"tier {one.tier}", f"family {one.family}"
