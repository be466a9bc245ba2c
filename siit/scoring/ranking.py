"""Measures rankings: ROC curve, area under it, average precision, and what chance reaches."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

DRAWS = 1000
"""Random rankings behind the percentiles of `Chance`."""


@dataclass(frozen=True, eq=False)
class Roc:
    """A ROC curve: one point for each threshold that can be told apart, from (0, 0) to (1, 1).

    Attributes:
        false_positive_rate: share of the negatives whose score is at least the threshold.
        true_positive_rate: the same share of the positives.
        thresholds: falling, infinity first.
    """

    false_positive_rate: Float[np.ndarray, " points"]
    true_positive_rate: Float[np.ndarray, " points"]
    thresholds: Float[np.ndarray, " points"]


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well scores put positives before negatives.

    Attributes:
        roc_auc: the area under the ROC curve: how often a positive is scored above a negative, ties counting half.
        average_precision: precision at each positive, in the order of the scores, on average; of ties, what a random
            order of them expects. Without ties it is scikit-learn's, which takes tied items all at once.
        roc: the ROC curve.
        positives, negatives: how many were ranked.
    """

    roc_auc: float
    average_precision: float
    roc: Roc
    positives: int
    negatives: int

    @property
    def precision_at_size(self) -> float:
        """Precision among as many of the first as there are positives; of ties, what a random order of them expects."""
        found = self.roc.true_positive_rate * self.positives
        ranked = found + self.roc.false_positive_rate * self.negatives
        return float(np.interp(self.positives, ranked, found)) / self.positives


@dataclass(frozen=True)
class Chance:
    """What a random order of the same items reaches.

    Attributes:
        roc_auc, average_precision, precision_at_size: the expectations, exact.
        roc_auc_95, average_precision_95, precision_at_size_95: what one random order in twenty exceeds, from 1,000 of a
            fixed seed.
    """

    roc_auc: float
    average_precision: float
    roc_auc_95: float
    average_precision_95: float
    precision_at_size: float
    precision_at_size_95: float


def rank(labels: Bool[np.ndarray, " items"], scores: Float[np.ndarray, " items"]) -> Ranking:
    """Measures scores against labels.

    Args:
        labels: True for positives; there must be both.
        scores: higher for what is held to be positive; no NaN.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], labels[order]
    # Equal scores pass every threshold together: one point for each group of them, at its end.
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    true_positives = np.cumsum(hits)[ends]
    false_positives = ends + 1 - true_positives
    positives, negatives = int(true_positives[-1]), int(false_positives[-1])
    tpr = np.append(0.0, true_positives / positives)
    fpr = np.append(0.0, false_positives / negatives)
    return Ranking(
        roc_auc=float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2)),
        average_precision=_average_precision(np.diff(ends, prepend=-1), np.diff(true_positives, prepend=0)),
        roc=Roc(fpr, tpr, np.append(np.inf, ordered[ends])),
        positives=positives,
        negatives=negatives,
    )


def _average_precision(sizes: Int[np.ndarray, " groups"], hits: Int[np.ndarray, " groups"]) -> float:
    """Computes the average precision that a random order within each group expects.

    Of a group's n items p are positive, after `found` positives among `before` items. The item at its place i is
    positive with probability p / n. Then (i - 1)(p - 1) / (n - 1) of those before it in the group are, on average.

    Args:
        sizes: items of each group, the highest scores first.
        hits: how many of them are positive.
    """
    group = np.repeat(np.arange(len(sizes)), sizes)
    before, found = np.cumsum(sizes) - sizes, np.cumsum(hits) - hits
    others = np.arange(len(group)) - before[group]
    earlier = others * (hits[group] - 1) / np.maximum(sizes[group] - 1, 1)
    precision = (found[group] + 1 + earlier) / (before[group] + others + 1)
    return float(np.sum(hits[group] / sizes[group] * precision) / hits.sum())


@functools.cache
def chance(positives: int, negatives: int) -> Chance:
    """Computes what random orders of so many items reach, which is what equal scores reach.

    Args:
        positives: how many items are positive, at least 1.
        negatives: how many are not, at least 1.
    """
    items = positives + negatives
    expected = _average_precision(np.array([items]), np.array([positives]))
    generator = np.random.default_rng(0)
    places = np.stack([generator.choice(items, positives, replace=False) for _ in range(DRAWS)])
    places = np.sort(places, axis=1) + 1
    found = np.arange(1, positives + 1)
    before = (places - found).sum(1)  # negatives before each positive
    aucs = 1 - before / (positives * negatives)
    precisions = (found / places).mean(1)
    at_size = (places <= positives).mean(1)
    above = [float(np.quantile(values, 0.95)) for values in (aucs, precisions, at_size)]
    return Chance(0.5, expected, above[0], above[1], positives / items, above[2])
