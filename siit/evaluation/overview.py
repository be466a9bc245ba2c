"""Sums up evaluations over models: means with intervals, methods against each other, and what the ablation changes.

What several seeds of the draw give for one model is averaged first, so that models alone are drawn from.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from siit._extras import require
from siit.certificate.fields import Kind
from siit.evaluation.candidate import REFERENCES
from siit.evaluation.result import HEADLINE, Baseline, Evaluation

RESAMPLES = 2000
"""Draws of models behind an interval, of a fixed seed."""
ALL = "all"
"""The group of all models."""
AVERAGE_PRECISION = "edge.average_precision"


def _edge(pick: Callable[[Baseline], float]) -> Callable[[Evaluation], float | None]:
    return lambda one: pick(one.edge[HEADLINE]) if HEADLINE in one.edge else None


def _above_structure(one: Evaluation) -> float | None:
    if HEADLINE not in one.edge:
        return None
    return one.edge[HEADLINE].average_precision - one.edge[HEADLINE].structure.average_precision


MEASURES: Mapping[str, Callable[[Evaluation], float | None]] = {
    AVERAGE_PRECISION: _edge(lambda rated: rated.average_precision),
    "edge.above_structure": _above_structure,
    "edge.roc_auc": _edge(lambda rated: rated.roc_auc),
    "edge.precision_at_size": _edge(lambda rated: rated.precision_at_size),
    "node.average_precision": lambda one: one.node[ALL].average_precision,
    "node.roc_auc": lambda one: one.node[ALL].roc_auc,
    "node.precision_at_size": lambda one: one.node[ALL].precision_at_size,
    "cpr": lambda one: one.faithfulness.cpr if one.faithfulness else None,
    "cmd": lambda one: one.faithfulness.cmd if one.faithfulness else None,
    "seconds": lambda one: one.seconds,
}
"""Name -> the number of an evaluation, None where it has none; `edge.above_structure` is the average precision less the
structure null's. Of edges the headline is taken, of nodes all."""
COMPARED = (AVERAGE_PRECISION, "edge.roc_auc", "node.average_precision", "cpr")
"""Measures by which methods are compared; of all of them higher is better."""

Model = tuple[str, int]
Way = tuple[str, str, int]
"""Corruption, ablation, number of pairs."""
ModelMeans = Mapping[tuple[str, Way], Mapping[Model, float]]


@dataclass(frozen=True)
class GroupMean:
    """A method's mean over models.

    Attributes:
        group: `all`, `tier deep`, `family sorting`, ...
        method, corruption, ablation, n_pairs: what was evaluated.
        measure: one of `MEASURES`.
        models: how many.
        mean: over these.
        low, high: of the 95 % interval, by a percentile bootstrap over models; None for a single one.
    """

    group: str
    method: str
    corruption: str
    ablation: str
    n_pairs: int
    measure: str
    models: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MethodComparison:
    """Two methods on the same models, as the InterpBench paper compares them (arXiv 2407.14494, section 5).

    Attributes:
        group, corruption, ablation, n_pairs, measure: see `GroupMean`.
        first, second: the methods.
        models: on which both were evaluated.
        difference: mean of the first's less the second's.
        a12: Vargha and Delaney's effect size: how often the first's number on one model exceeds the second's on any,
            ties counting half.
        p_value: of Wilcoxon's signed-rank test, two-sided, not corrected for the number of comparisons; 1 where no
            model tells them apart; None for a single model.
    """

    group: str
    corruption: str
    ablation: str
    n_pairs: int
    measure: str
    first: str
    second: str
    models: int
    difference: float
    a12: float
    p_value: float | None


@dataclass(frozen=True)
class RankingAgreement:
    """Whether two ablations rank methods alike (compare Miller et al., arXiv 2407.08734).

    Attributes:
        corruption, n_pairs, measure: see `GroupMean`.
        first, second: the ablations.
        methods: how many are ranked, references left out.
        models: on which all of them were evaluated under both.
        tau: Kendall's tau-b of the methods' means; None where one of the ablations tells none apart.
    """

    corruption: str
    n_pairs: int
    measure: str
    first: str
    second: str
    methods: int
    models: int
    tau: float | None


@dataclass(frozen=True)
class Overview:
    """What evaluations say together."""

    means: tuple[GroupMean, ...]
    comparisons: tuple[MethodComparison, ...]
    agreements: tuple[RankingAgreement, ...]


def overview(evaluations: Sequence[Evaluation]) -> Overview:
    """Sums up evaluations.

    Args:
        evaluations: of any methods, models and settings.

    Raises:
        ImportError: names the extra that has SciPy.
    """
    groups = sorted({group for one in evaluations for group in _groups(one)}, key=lambda group: (group != ALL, group))
    means: list[GroupMean] = []
    comparisons: list[MethodComparison] = []
    for group in groups:
        among = [one for one in evaluations if group in _groups(one)]
        means += group_means(among, group)
        if not group.startswith("family"):
            comparisons += _comparisons(among, group)
    return Overview(tuple(means), tuple(comparisons), tuple(_agreements(evaluations)))


def group_means(
    evaluations: Sequence[Evaluation], group: str = ALL, measures: Iterable[str] = tuple(MEASURES)
) -> list[GroupMean]:
    """Averages over models, with intervals.

    Args:
        evaluations: of the group's models.
        group: its name.
        measures: which numbers.
    """
    means = []
    for measure in measures:
        for (method, way), by_model in model_means(evaluations, measure).items():
            values = np.array(list(by_model.values()))
            low, high = interval(values)
            means.append(GroupMean(group, method, *way, measure, len(values), float(values.mean()), low, high))
    return means


def interval(values: Float[np.ndarray, " models"]) -> tuple[float | None, float | None]:
    """Computes the 95 % interval of a mean, by a percentile bootstrap; None for a single value."""
    if len(values) < 2:
        return None, None
    low, high = np.quantile(_weights(len(values)) @ values, [0.025, 0.975])
    return float(low), float(high)


def a12(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " m"]) -> float:
    """Computes how often one value of the first exceeds one of the second, ties counting half.

    Vargha and Delaney, Journal of Educational and Behavioral Statistics 25(2), 2000.
    """
    difference = first[:, None] - second[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def _groups(one: Evaluation) -> tuple[str, str, str]:
    return ALL, f"tier {one.tier}", f"family {one.family}"


def model_means(evaluations: Sequence[Evaluation], measure: str) -> ModelMeans:
    """Averages a measure over seeds, for each method, setting and model."""
    found: dict[tuple[str, Way], dict[Model, list[float]]] = {}
    for one in evaluations:
        value = MEASURES[measure](one)
        if value is not None:
            way = (one.setting.corruption, one.setting.ablation, one.setting.n_pairs)
            of_model = found.setdefault((one.method, way), {})
            of_model.setdefault((one.case, one.model_seed), []).append(value)
    return {key: {model: float(np.mean(some)) for model, some in each.items()} for key, each in found.items()}


@functools.cache
def _weights(models: int) -> Float[np.ndarray, "resamples models"]:
    """Draws how much each model counts in each resample."""
    return np.random.default_rng(0).multinomial(models, [1 / models] * models, RESAMPLES) / models


def _comparisons(evaluations: Sequence[Evaluation], group: str) -> Iterable[MethodComparison]:
    for measure in COMPARED:
        values = model_means(evaluations, measure)
        for ((first, way), one), ((second, other), two) in itertools.combinations(values.items(), 2):
            shared = sorted(one.keys() & two.keys())
            if way != other or not shared:
                continue
            a, b = (np.array([each[model] for model in shared]) for each in (one, two))
            yield MethodComparison(
                group,
                *way,
                measure,
                first,
                second,
                models=len(shared),
                difference=float((a - b).mean()),
                a12=a12(a, b),
                p_value=_signed_rank(a - b),
            )


def _signed_rank(differences: Float[np.ndarray, " models"]) -> float | None:
    if len(differences) < 2:
        return None
    if not differences.any():
        return 1.0
    return float(_stats().wilcoxon(differences).pvalue)


def _agreements(evaluations: Sequence[Evaluation]) -> Iterable[RankingAgreement]:
    for measure in COMPARED:
        values = {key: each for key, each in model_means(evaluations, measure).items() if key[0] not in REFERENCES}
        conditions = sorted({(corruption, n_pairs) for _, (corruption, _, n_pairs) in values})
        ablations: tuple[Kind, ...] = ("resample", "mean", "zero")
        for (corruption, n_pairs), (first, second) in itertools.product(
            conditions, itertools.combinations(ablations, 2)
        ):
            ways = [(corruption, ablation, n_pairs) for ablation in (first, second)]
            both = sorted({name for name, _ in values if all((name, way) in values for way in ways)})
            of_each = [values[name, way].keys() for name in both for way in ways]
            shared = sorted(set.intersection(*map(set, of_each))) if of_each else []
            if len(both) < 2 or not shared:
                continue
            ranked = [[float(np.mean([values[name, way][model] for model in shared])) for name in both] for way in ways]
            tau = None if any(len(set(each)) == 1 for each in ranked) else float(_stats().kendalltau(*ranked).statistic)
            yield RankingAgreement(corruption, n_pairs, measure, first, second, len(both), len(shared), tau)


def _stats() -> Any:
    return require("scipy.stats", extra="evaluate", needed_by="siit.evaluation")
