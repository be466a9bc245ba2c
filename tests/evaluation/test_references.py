"""References: the labels reach 1, the structure null and chance themselves; a wrong label costs what it should."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import siit
from siit.discovery.task import Level
from siit.evaluation import REFERENCES, Rated, evaluate
from siit.evaluation.rating import complete, places, rate, scores_of_places
from siit.evaluation.result import PERMUTED, PLAIN
from siit.graph.architecture import edges
from tests.builders.discovery import certified

ON = ["m0->a1.h0<v>", "a1.h0->logits", "tok_embed->m0", "pos_embed->a1.h0<q>", "pos_embed->a1.h0<k>"]
POSITIVES, NEGATIVES = 5, 132


def scores_of(reference: str, seed: int = 0) -> dict[str, float]:
    return dict(REFERENCES[reference](certified(), seed))


def rated(scores: dict[str, float], corruption: str = PERMUTED) -> Mapping[Level, Mapping[str, Rated]]:
    return rate(certified(), complete(scores, certified().config), corruption)


def test_labels_reach_one_in_every_view():
    found = evaluate(certified(), "labels", n_pairs=64)
    views = [*found.edge.values(), *found.node.values()]
    assert len(views) == 11
    assert {(view.roc_auc, view.average_precision, view.precision_at_size) for view in views} == {(1.0, 1.0, 1.0)}
    assert found.faithfulness is not None and found.faithfulness.at_size.parts == POSITIVES
    assert found.faithfulness.at_size.accuracy == 1
    assert found.faithfulness.at_size.faithfulness == pytest.approx(1, abs=0.02)


def test_structure_is_the_structure_null():
    found = evaluate(certified(), "structure", n_pairs=4)
    for view in (*found.edge.values(), *found.node.values()):
        null = view.structure
        assert (view.roc_auc, view.average_precision, view.precision_at_size) == (
            null.roc_auc,
            null.average_precision,
            null.precision_at_size,
        )


@pytest.mark.slow
@pytest.mark.ci
def test_random_is_its_null():
    """Means of 200 draws, within four standard errors; and one in twenty above the percentile, within the binomial."""
    found = [rated(scores_of("random", seed))["edge"] for seed in range(200)]
    names = ("roc_auc", "average_precision", "precision_at_size")
    for view, name in itertools.product(("visible", "slot_q", "all"), names):
        draws = [edge[view] for edge in found]
        null = draws[0].random
        values = np.array([getattr(one, name) for one in draws])
        assert abs(values.mean() - getattr(null, name)) < 4 * values.std(ddof=1) / np.sqrt(len(values))
        assert (values > getattr(null, f"{name}_95")).sum() <= 24


@pytest.mark.parametrize("edge", ON)
def test_a_label_flipped_off_costs_what_it_should(edge: str):
    """The edge is equal to all 132 others: half of its pairs are lost, and it comes at the end of all 137."""
    found = rated(scores_of("labels") | {edge: 0.0})["edge"]["visible"]
    assert found.roc_auc == pytest.approx(float(1 - Fraction(1, 2 * POSITIVES)), abs=1e-15)
    last = sum(Fraction(5, place) for place in range(5, 138)) / 133
    assert found.average_precision == pytest.approx(float((4 + last) / 5), abs=1e-15)
    # The fifth place goes to one of 133 at random.
    assert found.precision_at_size == pytest.approx(float((4 + Fraction(1, 133)) / 5), abs=1e-15)


def test_a_label_flipped_on_costs_what_it_should():
    """A wrong edge shares the first six places with the five right ones: half of its pairs are lost."""
    found = rated(scores_of("labels") | {"m0->logits": 1.0})["edge"]["visible"]
    assert found.roc_auc == pytest.approx(float(1 - Fraction(1, 2 * NEGATIVES)), abs=1e-15)
    # At place i of the six: positive with 5/6, and then 4/5 of those before it are.
    expected = sum(Fraction(5, 6) * (1 + Fraction(4, 5) * (place - 1)) / place for place in range(1, 7)) / 5
    assert found.average_precision == pytest.approx(float(expected), abs=1e-15)
    assert found.precision_at_size == pytest.approx(5 / 6, abs=1e-15)
    first = rated(scores_of("labels") | {"m0->logits": 2.0})["edge"]["visible"]
    assert first.roc_auc == pytest.approx(float(1 - Fraction(1, NEGATIVES)), abs=1e-15)
    assert first.average_precision == pytest.approx(sum(k / (k + 1) for k in range(1, 6)) / 5, abs=1e-15)
    assert first.precision_at_size == pytest.approx(4 / 5, abs=1e-15)


def test_views_by_hand():
    found = rated(scores_of("labels"))["edge"]
    assert {name: (view.positives, view.negatives) for name, view in found.items()} == {
        "visible": (5, 132),
        "slot_q": (1, 35),
        "slot_k": (1, 35),
        "slot_v": (1, 35),
        "slot_none": (2, 27),
        "visible_no_embeddings": (2, 81),
        "resampled": (3, 132),
        "permuted": (2, 132),
        "all": (5, 132),
    }
    # With positions in place nothing shows the two edges that carry them.
    plain = rated(scores_of("labels"), PLAIN)["edge"]
    assert (plain["visible"].positives, plain["all"].positives) == (3, 5)
    assert "slot_q" not in plain and "slot_v" in plain


def test_the_numbers_are_those_of_score():
    scores = {name: (7 * number % 11) / 11 for number, name in enumerate(map(str, edges(certified().config)))}
    found = rated(scores)
    for view, options in (
        (found["edge"]["all"], {}),
        (found["edge"]["visible_no_embeddings"], {"embeddings": False, "grades": ("resampled", "permuted", "off")}),
        (found["node"]["all"], {"level": "node"}),
        (found["node"]["no_embeddings"], {"level": "node", "embeddings": False}),
    ):
        expected = siit.score(scores, certified(), **options)
        assert (view.roc_auc, view.average_precision) == (expected.roc_auc, expected.average_precision)
        assert view.structure.roc_auc == expected.structure.roc_auc
        assert view.random == expected.random


def test_places_rate_as_the_scores_do():
    """Scores of both levels, of which many are equal."""
    config = certified().config
    scores = {name: round(score, 1) for name, score in scores_of("random").items()}
    found = complete(scores, config)
    placed = {level: places(some) for level, some in found.items()}
    assert min(placed["edge"]) == 1 and max(placed["edge"]) == len({*found["edge"].values()}) == 11
    assert rate(certified(), scores_of_places(placed, config), PERMUTED) == rated(scores)


def test_a_certificate_that_measures_no_edge_ranks_none():
    certificate = {**certified().certificate, "details": {**certified().certificate["details"], "strict_edge": {}}}
    model = dataclasses.replace(certified(), bundle=dataclasses.replace(certified().bundle, certificate=certificate))
    with pytest.raises(ValueError, match="certificate: found no edge that is certified to be off the circuit"):
        rate(model, complete(scores_of("labels"), model.config), PERMUTED)


def without(scores: dict[str, float], name: str) -> dict[str, float]:
    return {key: value for key, value in scores.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda scores: without(scores, "m0->logits"), "found no score of m0->logits, accepted is one of every edge"),
        (lambda scores: without(scores, "m0"), "found no score of m0, accepted is one of every node"),
        (lambda scores: scores | {"m9": 1.0}, "found m9, accepted are scores of every edge"),
        (lambda scores: scores | {"m0": float("nan")}, "m0: found NaN, accepted is a number"),
        (lambda scores: scores | {"m0": "high"}, "m0: found 'high', accepted is a number"),
        (lambda scores: {}, "found no scores, accepted are scores of every edge"),
        (lambda scores: [1.0], "found a list, accepted are scores by name"),
        (lambda scores: None, "found a NoneType, accepted are scores by name"),
    ],
)
def test_wrong_scores_are_named(change: Callable[[dict[str, float]], Any], message: str):
    with pytest.raises(ValueError, match=message):
        complete(change(scores_of("labels")), certified().config)


def test_other_names_are_understood():
    config = certified().config
    merged = {
        str(edge).replace("tok_embed", "input"): float(number)
        for number, edge in enumerate(edges(config))
        if edge.sender != "pos_embed"
    }
    found = complete(merged, config)["edge"]
    assert found["tok_embed->m0"] == found["pos_embed->m0"] == merged["input->m0"]
    assert len(found) == POSITIVES + NEGATIVES
    infinite = complete(dict.fromkeys(merged, float("inf")), config)["edge"]
    assert set(infinite.values()) == {np.finfo(float).max}
