"""Sums up where methods stand: means over all models, each tier and the month's fresh ones, and their ranks."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from siit.evaluation.overview import ALL, AVERAGE_PRECISION, GroupMean, group_means, model_means
from siit.evaluation.result import HEADLINE, Evaluation, Rated
from siit.graph.tiers import TIERS
from siit.leaderboard.ranks import RankComparison, compare
from siit.leaderboard.release import Model

FRESH = "fresh"
"""The group of the month's models, which are in no other."""
STRUCTURE, CHANCE = "structure null", "chance"
"""What needs no method, beside the methods; no method's name has a space."""
NODE_PRECISION = "node.average_precision"
_FEWEST = 3
"""Methods, and models, that can be compared by ranks."""


@dataclass(frozen=True)
class Standing:
    """A method, or what needs none.

    Attributes:
        method: its name.
        means: group and measure -> the mean, with its interval (`siit.evaluation.overview.MEASURES`).
        models: on how many it was evaluated, fresh ones apart.
    """

    method: str
    means: Mapping[tuple[str, str], GroupMean]
    models: int

    def mean(self, measure: str, group: str = ALL) -> float | None:
        """Gives a mean; None where there is none."""
        found = self.means.get((group, measure))
        return None if found is None else found.mean


@dataclass(frozen=True)
class Standings:
    """All that the board says in numbers.

    Attributes:
        edges: methods that score edges, and what needs none, by average precision, the best first.
        nodes: all methods, by average precision of nodes.
        groups: those of which there are models: `all`, `tier deep`, ..., `fresh`.
        ranks: of methods that were evaluated on all models that any was; None where these, or the models, are few.
        unranked: methods that lack some, and stand in no rank.
    """

    edges: tuple[Standing, ...]
    nodes: tuple[Standing, ...]
    groups: tuple[str, ...]
    ranks: RankComparison | None
    unranked: tuple[str, ...]


def standings(evaluations: Sequence[Evaluation], fresh: Collection[Model] = ()) -> Standings:
    """Sums up evaluations.

    Args:
        evaluations: of all methods, of headline views.
        fresh: the month's models.

    Raises:
        ImportError: names the extra that has SciPy.
    """
    everything = [*evaluations, *_without_method(evaluations)]
    groups = {ALL: [one for one in everything if _model(one) not in fresh]}
    groups |= {f"tier {tier}": [one for one in groups[ALL] if one.tier == tier] for tier in TIERS}
    groups |= {FRESH: [one for one in everything if _model(one) in fresh]}
    means = [mean for group, some in groups.items() for mean in group_means(some, group)]
    found = [
        Standing(
            method,
            {(one.group, one.measure): one for one in means if one.method == method},
            len({_model(one) for one in groups[ALL] if one.method == method}),
        )
        for method in dict.fromkeys(one.method for one in everything)
    ]
    ranks, unranked = _ranks(groups[ALL])
    return Standings(
        edges=_ordered(found, AVERAGE_PRECISION),
        nodes=_ordered(found, NODE_PRECISION),
        groups=tuple(group for group, some in groups.items() if some),
        ranks=ranks,
        unranked=unranked,
    )


def _ordered(found: Sequence[Standing], measure: str) -> tuple[Standing, ...]:
    """Orders by a mean over all models, or the fresh ones where there are no others."""

    def value(one: Standing) -> float | None:
        over_all = one.mean(measure)
        return one.mean(measure, FRESH) if over_all is None else over_all

    having = [one for one in found if value(one) is not None]
    return tuple(sorted(having, key=lambda one: (-(value(one) or 0.0), one.method)))


def _without_method(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Makes evaluations of the structure null and of chance, of each model."""
    of_model = {_model(one): one for one in sorted(evaluations, key=lambda one: HEADLINE in one.edge)}
    return [
        dataclasses.replace(
            one,
            method=name,
            edge={view: _instead(rated, name) for view, rated in one.edge.items()},
            node={view: _instead(rated, name) for view, rated in one.node.items()},
            faithfulness=None,
        )
        for one in of_model.values()
        for name in (STRUCTURE, CHANCE)
    ]


def _instead(rated: Rated, name: str) -> Rated:
    """Puts what needs no method in the place of a method's numbers."""
    source = rated.structure if name == STRUCTURE else rated.random
    return dataclasses.replace(
        rated,
        roc_auc=source.roc_auc,
        average_precision=source.average_precision,
        precision_at_size=source.precision_at_size,
    )


def _ranks(evaluations: Sequence[Evaluation]) -> tuple[RankComparison | None, tuple[str, ...]]:
    values = {
        method: by_model
        for (method, _), by_model in model_means(evaluations, AVERAGE_PRECISION).items()
        if method not in (STRUCTURE, CHANCE)
    }
    models = sorted({model for by_model in values.values() for model in by_model})
    whole = {
        name: [by_model[model] for model in models] for name, by_model in values.items() if len(by_model) == len(models)
    }
    unranked = tuple(sorted(values.keys() - whole.keys()))
    if len(whole) < _FEWEST or len(models) < _FEWEST:
        return None, unranked
    return compare(whole), unranked


def _model(one: Evaluation) -> Model:
    return one.case, one.model_seed
