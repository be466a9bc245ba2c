"""Sums over models: numbers by hand, and SciPy's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siit.certificate.fields import Kind
from siit.evaluation import Evaluation, EvaluationSetting
from siit.evaluation.overview import AVERAGE_PRECISION, a12, group_means, interval, overview
from tests.builders.evaluations import invented, some

_NUMBERS = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


def with_ablation(evaluations: Sequence[Evaluation], ablation: Kind) -> list[Evaluation]:
    return [
        dataclasses.replace(one, setting=dataclasses.replace(one.setting, ablation=ablation)) for one in evaluations
    ]


def test_seeds_are_averaged_before_models():
    found = [invented("eap", "one", 0.2), invented("eap", "one", 0.4, seed=1), invented("eap", "two", 0.9)]
    (mean,) = group_means(found, measures=(AVERAGE_PRECISION,))
    assert mean.models == 2 and mean.mean == pytest.approx((0.3 + 0.9) / 2)


def test_groups_are_tiers_and_families():
    found = overview([invented("eap", "one", 0.2), invented("eap", "two", 0.6, tier="single")])
    means = {one.group: one.mean for one in found.means if one.measure == AVERAGE_PRECISION}
    assert means == pytest.approx({"all": 0.4, "tier deep": 0.2, "tier single": 0.6, "family counting": 0.4})


def test_the_interval_is_that_of_resampled_means():
    values = np.array([0.1, 0.5, 0.6, 0.9, 1.0])
    low, high = interval(values)
    assert low is not None and high is not None
    # The same statistic by another route: whole resamples.
    draws = np.random.default_rng(1).choice(values, (20_000, 5)).mean(1)
    assert (low, high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.02)
    assert interval(values) == (low, high)
    assert interval(np.array([0.3])) == (None, None)
    assert interval(np.array([0.3, 0.3])) == pytest.approx((0.3, 0.3))


def test_a12_by_hand():
    assert a12(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == (1 + 0.5 + 1 + 1) / 4


@given(_NUMBERS, _NUMBERS)
@settings(deadline=None)
def test_a12_is_mann_whitneys(first: list[int], second: list[int]):
    stats = pytest.importorskip("scipy.stats")
    a, b = np.array(first, dtype=float), np.array(second, dtype=float)
    assert a12(a, b) == pytest.approx(stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert a12(a, b) + a12(b, a) == pytest.approx(1)


def test_methods_are_compared_on_the_same_models():
    first = [0.9, 0.8, 0.7, 0.6, 0.5]
    second = [0.5, 0.7, 0.4, 0.5, 0.1]
    found = [invented("eap", f"case{place}", value) for place, value in enumerate(first)]
    found += [invented("acdc", f"case{place}", value) for place, value in enumerate(second)]
    found.append(invented("acdc", "alone", 1.0))
    (one,) = [each for each in overview(found).comparisons if (each.group, each.measure) == ("all", AVERAGE_PRECISION)]
    assert (one.first, one.second, one.models) == ("eap", "acdc", 5)
    assert one.difference == pytest.approx((0.4 + 0.1 + 0.3 + 0.1 + 0.4) / 5)
    assert one.a12 == a12(np.array(first), np.array(second))
    # All five differences are positive: of 2^5 signs one is so, and one is its mirror image.
    assert one.p_value == pytest.approx(2 / 2**5, abs=0.03)


def test_nothing_tells_equal_methods_apart():
    found = [invented(name, case, 0.5) for name in ("eap", "acdc") for case in ("one", "two")]
    (one,) = [each for each in overview(found).comparisons if (each.group, each.measure) == ("all", AVERAGE_PRECISION)]
    assert (one.p_value, one.a12, one.difference) == (1.0, 0.5, 0.0)


def test_rankings_under_two_ablations():
    resampled = [invented(name, "one", value) for name, value in (("eap", 0.9), ("acdc", 0.5), ("hisp", 0.1))]
    zeroed = [invented(name, "one", value) for name, value in (("eap", 0.9), ("acdc", 0.1), ("hisp", 0.5))]
    # References are no methods; what was run under one of them only is left out.
    resampled += [invented("labels", "one", 1.0), invented("exact", "one", 1.0)]
    zeroed.append(invented("labels", "one", 1.0))
    found = overview([*resampled, *with_ablation(zeroed, "zero")]).agreements
    (one,) = [each for each in found if each.measure == AVERAGE_PRECISION]
    assert (one.first, one.second, one.methods, one.models) == ("resample", "zero", 3, 1)
    assert one.tau == pytest.approx((2 - 1) / 3)
    # By ROC AUC, which was not invented, all are equal.
    assert next(each for each in found if each.measure == "edge.roc_auc").tau is None


def test_other_settings_are_kept_apart():
    other = dataclasses.replace(some(), setting=EvaluationSetting(corruption="plain", n_pairs=16))
    found = overview([some(), other])
    assert {(one.corruption, one.models) for one in found.means} == {("permuted", 1), ("plain", 1)}
    assert found.comparisons == () and found.agreements == ()


def test_of_nothing_nothing():
    found = overview([])
    assert (found.means, found.comparisons, found.agreements) == ((), (), ())
