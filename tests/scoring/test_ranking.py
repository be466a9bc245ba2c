"""ROC, average precision and chance: numbers by hand, and against scikit-learn."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siit.scoring.ranking import chance, rank

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:sklearn")


def test_by_hand():
    # Falling: + - + + -, no ties. Of 6 pairs, the first positive wins 2, the others 1 each.
    ranking = rank(np.array([True, False, True, True, False]), np.array([0.9, 0.8, 0.7, 0.6, 0.1]))
    assert ranking.roc_auc == pytest.approx(4 / 6)
    assert ranking.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert (ranking.positives, ranking.negatives) == (3, 2)
    assert ranking.roc.true_positive_rate == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 1, 1])
    assert ranking.roc.false_positive_rate == pytest.approx([0, 0, 1 / 2, 1 / 2, 1 / 2, 1])
    assert ranking.roc.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.7, 0.6, 0.1]


def test_ties_by_hand():
    # One group of a positive and a negative, then another of two negatives and a positive.
    ranking = rank(np.array([False, True, False, False, True]), np.array([2.0, 2.0, 1.0, 1.0, 1.0]))
    # Pairs: the first positive ties once and wins twice; the second loses once and ties twice.
    assert ranking.roc_auc == pytest.approx((0.5 + 2 + 0 + 1) / 6)
    # The first positive is at place 1 or 2. The second is at place 3, 4 or 5, with one of the first group before it.
    assert ranking.average_precision == pytest.approx(((1 + 1 / 2) / 2 + (2 / 3 + 2 / 4 + 2 / 5) / 3) / 2)
    assert ranking.roc.thresholds.tolist() == [np.inf, 2, 1]


def test_all_equal_scores_are_chance():
    ranking = rank(np.array([True, False, False, False]), np.zeros(4))
    assert ranking.roc_auc == 0.5 and ranking.average_precision == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert ranking.average_precision == chance(1, 3).average_precision


def test_infinite_scores_are_ranked():
    ranking = rank(np.array([True, True, False]), np.array([np.inf, -np.inf, 0.0]))
    assert ranking.roc_auc == 0.5


_ITEMS = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40).filter(
    lambda items: len({label for label, _ in items}) == 2
)


@given(_ITEMS)
@settings(max_examples=100, deadline=None)
def test_as_scikit_learn(items: list[tuple[bool, int]]):
    metrics = pytest.importorskip("sklearn.metrics")
    labels, scores = np.array([label for label, _ in items]), np.array([float(value) for _, value in items])
    ranking = rank(labels, scores)
    assert ranking.roc_auc == pytest.approx(metrics.roc_auc_score(labels, scores))
    apart = scores + np.linspace(0, 0.5, len(scores))
    expected = metrics.average_precision_score(labels, apart)
    assert rank(labels, apart).average_precision == pytest.approx(expected)
    fpr, tpr, thresholds = metrics.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(ranking.roc.false_positive_rate, fpr)
    np.testing.assert_allclose(ranking.roc.true_positive_rate, tpr)
    np.testing.assert_array_equal(ranking.roc.thresholds, thresholds)


@given(_ITEMS.filter(lambda items: len(items) <= 5))
@settings(max_examples=30, deadline=None)
def test_average_precision_of_ties_is_the_mean_of_all_their_orders(items: list[tuple[bool, int]]):
    labels, scores = np.array([label for label, _ in items]), np.array([float(value) for _, value in items])
    orders = itertools.permutations(range(len(items)))
    every = [rank(labels, scores + 0.1 * np.array(order)).average_precision for order in orders]
    assert rank(labels, scores).average_precision == pytest.approx(np.mean(every))


@given(_ITEMS)
@settings(max_examples=50, deadline=None)
def test_only_the_order_matters(items: list[tuple[bool, int]]):
    labels, scores = np.array([label for label, _ in items]), np.array([float(value) for _, value in items])
    straight, bent = rank(labels, scores), rank(labels, np.exp(3 * scores))
    assert (straight.roc_auc, straight.average_precision) == (bent.roc_auc, bent.average_precision)
    assert rank(labels, -scores).roc_auc == pytest.approx(1 - straight.roc_auc)


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (1, 4), (2, 3), (4, 2)])
def test_chance_is_the_mean_of_all_orders(positives: int, negatives: int):
    items = positives + negatives
    precisions = []
    for places in itertools.combinations(range(1, items + 1), positives):
        precisions.append(sum(Fraction(k, place) for k, place in enumerate(places, 1)) / positives)
    assert chance(positives, negatives).average_precision == pytest.approx(float(sum(precisions) / len(precisions)))
    assert chance(positives, negatives).roc_auc == 0.5


def test_percentiles_of_chance():
    """Of 100 places for one positive, one in twenty is among the first five."""
    luck = chance(1, 99)
    assert luck.roc_auc_95 == pytest.approx(95 / 99, abs=0.02)
    assert luck.average_precision_95 == pytest.approx(1 / 5, abs=0.06)
    assert chance(20, 200) == chance(20, 200)
