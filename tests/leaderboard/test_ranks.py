"""Average ranks and critical differences, against numbers that were printed or worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from siit.leaderboard.ranks import compare, critical_difference

# Demsar, JMLR 7, 2006, table 6: areas under the ROC curve of C4.5, and of it with other parameters, on 14 data sets.
# It ranks by digits that it does not print: 0.975 of the third is ahead of that of the fourth.
PRINTED = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957],
    "+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
    "+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.97501, 0.946],
    "+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.975, 0.970],
}


def test_demsars_example():
    found = compare(PRINTED)
    assert found.methods == ("+m+cf", "+m", "+cf", "C4.5")
    assert [round(rank, 3) for rank in found.average] == [1.964, 2.0, 2.893, 3.143]
    assert round(found.critical, 2) == 1.25 and found.models == 14
    # 3.143 - 1.964 = 1.179 is less than 1.25: the Nemenyi test tells none apart.
    assert found.groups == ((0, 3),)


@pytest.mark.parametrize(
    ("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (8, 3.031), (10, 3.164)]
)
def test_the_printed_quantiles(methods: int, q: float):
    """Demsar's table 5a. Its digits are cut or rounded, by up to one in the last place."""
    assert critical_difference(methods, 6) == pytest.approx(q * math.sqrt(methods * (methods + 1) / 36), rel=5e-4)


def test_by_hand():
    """Three methods on five models: a is first everywhere; b and c are second twice each, and equal once."""
    found = compare({"c": [0.0, 0.0, 2.0, 2.0, 1.0], "a": [9.0] * 5, "b": [1.0, 1.0, 0.0, 0.0, 1.0]})
    assert found.methods == ("a", "b", "c") and found.average == (1.0, 2.5, 2.5)
    # q = 2.3437, sqrt(3 * 4 / (6 * 5)) = 0.6325: methods differ from 1.482 on.
    assert found.critical == pytest.approx(1.482, abs=1e-3)
    assert found.groups == ((1, 2),)
    # Friedman: rank sums are 5, 12.5 and 12.5, 10 expected: 12 * (25 + 6.25 + 6.25) / (5 * 3 * 4) = 7.5. One tie of two
    # in a row of three: divided by 1 - (2^3 - 2) / (5 * (3^3 - 3)) = 0.95. Chi squared of 2 degrees: exp(-x / 2).
    assert found.p_value == pytest.approx(math.exp(-7.5 / 0.95 / 2))


def test_where_all_are_equal_nothing_is_told_apart():
    found = compare({name: [1.0, 1.0, 0.5] for name in "abc"})
    assert found.average == (2.0, 2.0, 2.0) and found.p_value == 1.0 and found.groups == ((0, 2),)


def test_the_order_of_a_sum_makes_no_rank():
    found = compare({"a": [0.1 + 0.2] * 4, "b": [0.3] * 4, "c": [0.0] * 4})
    assert found.average == (1.5, 1.5, 3.0)


def test_groups_overlap_where_ranks_are_close():
    """Ranks 1, 2, 3, 4 on 10 models: the critical difference is 1.48."""
    values = {name: list(np.full(10, float(place))) for place, name in enumerate("dcba")}
    found = compare(values)
    assert found.methods == ("a", "b", "c", "d") and found.critical == pytest.approx(1.483, abs=1e-3)
    assert found.groups == ((0, 1), (1, 2), (2, 3))
