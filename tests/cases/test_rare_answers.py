"""Programs whose answers are rare among random inputs, compared with plain Python on all short ones."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from tests.builders.programs import causal_model, decoded

PLAIN: dict[str, tuple[Callable[[list[Any]], Any], list[Any]]] = {
    "all_equal": (lambda tokens: len(set(tokens)) == 1, [0, 1, 10]),
    "all_even": (lambda tokens: sum(token % 2 for token in tokens) == 0, [0, 28, 29]),
    "alternating_parity": (lambda tokens: all((x + y) % 2 for x, y in itertools.pairwise(tokens)), [1, 2, 5]),
    "has_duplicate": (lambda tokens: len(set(tokens)) < len(tokens), [0, 3, 4, 9]),
    "is_nondecreasing": (lambda tokens: tokens == sorted(tokens), [0, 1, 10]),
    "is_nonincreasing": (lambda tokens: tokens == sorted(tokens, reverse=True), [0, 1, 10]),
    "last_two_equal": (lambda tokens: tokens[-1] == tokens[-2], [0, 1, 10]),
    "max_everywhere": (max, [0, 1, 10]),
    "median": (statistics.median, [0, 1, 5, 10]),
    "median_everywhere": (statistics.median, [0, 1, 5, 10]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_all_short_inputs(name: str):
    plain, tokens = PLAIN[name]
    words = _words(tokens, 5)
    for word, found in zip(words, decoded(causal_model(name), *words), strict=True):
        assert found == [plain(word)] * len(word), word


def test_brackets_balanced():
    words = _words(list("()x{}"), 5)
    found = decoded(causal_model("brackets_balanced"), *words)
    balanced = [word for word, answer in zip(words, found, strict=True) if all(answer)]
    assert all(answer in ([True] * len(word), [False] * len(word)) for word, answer in zip(words, found, strict=True))
    assert balanced == [word for word in words if _balanced(word, "()") and _balanced(word, "{}")]
    assert list("({)}") in balanced
    assert list("x)(x") not in balanced


def test_equal_quotients_are_one_class():
    classes = causal_model("divide_by_ratio_of_first_two").classes
    assert classes is not None
    ratios = itertools.product(range(11), range(1, 11), range(1, 11))
    assert len(classes) == len({Fraction(token * first, second) for token, first, second in ratios})


def _words(tokens: list[Any], longest: int) -> list[list[Any]]:
    return [list(word) for length in range(3, longest + 1) for word in itertools.product(tokens, repeat=length)]


def _balanced(word: list[str], pair: str) -> bool:
    depths = list(itertools.accumulate((token == pair[0]) - (token == pair[1]) for token in word))
    return min(depths) >= 0 and depths[-1] == 0
