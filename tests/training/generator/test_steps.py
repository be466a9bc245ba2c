"""The grammar's steps, on inputs worked out by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tracr.rasp import rasp

from siit.training.generator import attention_steps as attention
from siit.training.generator import pointwise_steps as pointwise
from siit.training.generator.draft import Draft, Value
from siit.training.generator.grammar import draw_program


def draft(*, letters: bool = False, size: int = 4, seed: int = 0) -> Draft:
    """A draft over abcd or 0123, of up to 5 tokens."""
    found = Draft(random.Random(seed))
    found.max_len = 5
    found.vocab = tuple("abcdefgh"[:size]) if letters else tuple(range(size))
    found.tokens = Value(rasp.tokens, found.vocab, "the token")
    found.indices = Value(rasp.indices, tuple(range(5)), "the position")
    return found


def result(value: Value | None, words: Any) -> list[Any]:
    assert value is not None
    found = list(value.sop(list(words)))
    assert set(found) <= set(value.values)
    return found


def named(make: Callable[[Draft], Value | None], name: str, **sizes: Any) -> tuple[Draft, Value]:
    """The first draft, by seed, in which the step takes that name."""
    for seed in range(200):
        subject = draft(seed=seed, **sizes)
        value = make(subject)
        if value is not None and value.words == name:
            return subject, value
    raise AssertionError(f"no {name} in 200 draws")


@pytest.mark.parametrize(
    ("step", "name", "words", "expected", "role"),
    [
        (
            pointwise.threshold,
            "at_least_2",
            [0, 1, 2, 3],
            [False, False, True, True],
            "whether the token is at least 2",
        ),
        (pointwise.member, "is_03", [0, 1, 2, 3], [True, False, False, True], "whether the token is 0 or 3"),
        (pointwise.modulo, "mod_3", [0, 1, 2, 3], [0, 1, 2, 0], "the token modulo 3"),
        (pointwise.capped, "capped_2", [0, 1, 2, 3], [0, 1, 2, 2], "the token, or 2 where it is more"),
    ],
)
def test_functions_of_one_value(step: pointwise.OneValue, name: str, words: list[int], expected: list[Any], role: str):
    subject, value = named(lambda subject: step(subject, subject.tokens), name)
    assert result(value, words) == expected
    assert subject.roles == {name: role}


def test_a_permutation_permutes():
    subject = draft(letters=True)
    found = pointwise.recoded(subject, subject.tokens)
    recoded = result(found, "abcd")
    assert sorted(recoded) == list("abcd") != recoded
    assert f"'a' to {recoded[0]!r}" in subject.roles["recoded"]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (pointwise.equal, [False, True, False, True]),
        (pointwise.smaller, [False, False, True, False]),
        (pointwise.maximum, [3, 1, 2, 3]),
        (pointwise.difference, [3, 0, 1, 0]),
    ],
)
def test_functions_of_the_token_and_the_position(step: pointwise.TwoValues, expected: list[Any]):
    subject = draft()
    assert result(step(subject, subject.tokens, subject.indices), [3, 1, 1, 3]) == expected


def test_modular_sum():
    subject, value = named(lambda subject: pointwise.modular_sum(subject, subject.tokens, subject.indices), "sum_mod_4")
    assert result(value, [3, 3, 3, 3]) == [3, 0, 1, 2]
    assert subject.roles["sum_mod_4"] == "the sum of the token and the position modulo 4"


def test_functions_of_letters_and_flags():
    subject = draft(letters=True)
    assert result(pointwise.shifted(subject, subject.tokens, subject.indices), "adda") == ["a", "a", "b", "d"]
    low = subject.map(lambda token: token < "c", subject.tokens, "low", "")
    even = subject.map(lambda index: index % 2 == 0, subject.indices, "even", "")
    assert result(pointwise.kept(subject, low, subject.tokens), "abcd") == ["a", "b", "-", "-"]
    assert result(pointwise.both(subject, low, even), "abcd") == [True, False, False, False]
    assert result(pointwise.either(subject, low, even), "abcd") == [True, True, True, False]
    assert result(pointwise.one_of_two(subject, low, even), "abcd") == [False, True, True, False]


def test_what_does_not_fit_is_no_step():
    subject = draft(letters=True)
    flag = subject.map(lambda token: token == "a", subject.tokens, "is_a", "")
    few = Value(rasp.tokens, ("a", "b"), "few")
    for step in pointwise.ONE_VALUE:
        assert step(subject, flag) is None
        assert step(subject, few) is None
    for numbers in (
        pointwise.maximum,
        pointwise.modular_sum,
        pointwise.difference,
        pointwise.shifted,
        pointwise.equal,
        pointwise.smaller,
    ):
        assert numbers(subject, flag, subject.tokens) is None
    assert pointwise.recoded(subject, subject.indices) is None
    assert pointwise.mapped(subject, flag) is None, "a function of a function is one step"
    assert pointwise.combined(subject, flag, flag) is None
    assert attention.shared(subject, flag, subject.tokens) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("previous", [2, 2, 0, 1]),
        ("before_previous", [2, 2, 2, 0]),
        ("first", [2, 2, 2, 2]),
        ("pointed", [1, 2, 0, 1]),
    ],
)
def test_fetched(name: str, expected: list[int]):
    """Of three tokens, each can name a position of the shortest input."""
    _, value = named(lambda subject: attention.fetched(subject, subject.tokens, subject.tokens), name, size=3)
    assert result(value, [2, 0, 1, 2]) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("count_same", [2, 1, 2, 1]),
        ("count_below", [1, 0, 1, 3]),
        ("count_above", [1, 3, 1, 0]),
        ("count_next", [0, 2, 0, 1]),
        ("count_of_1", [2, 2, 2, 2]),
    ],
)
def test_counted(name: str, expected: list[int]):
    subject, value = named(lambda subject: attention.counted(subject, subject.tokens, subject.tokens), name)
    assert result(value, [1, 0, 1, 3]) == expected
    assert set(subject.roles) == {name, f"{name}_share"}


def test_flags_are_counted_where_they_hold():
    subject = draft()
    flag = subject.map(lambda token: token > 1, subject.tokens, "large", "")
    found = attention.counted(subject, flag, subject.tokens)
    assert found is not None and found.words == "count_flagged"
    assert result(found, [1, 2, 3, 3]) == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("decoded", "marks", "where", "expected"),
    [
        # The shares of 1 so far in 0 1 0 0 1 are 0, 1/2, 1/3, 1/4, 2/5.
        ("any", "marks_1", "up to this one", [False, True, True, True, True]),
        ("often", "marks_1", "up to this one", [False, True, False, False, False]),
        ("amount", "marks_1", "up to this one", [0, 2, 1, 1, 1]),
        ("amount", "marks_1", "all positions", [1, 1, 1, 1, 1]),
        ("amount", "marks_1", "the token is as here", [0, 2, 0, 0, 2]),
    ],
)
def test_shared(decoded: str, marks: str, where: str, expected: list[Any]):
    for seed in range(300):
        subject = draft(seed=seed)
        value = attention.shared(subject, subject.tokens, subject.tokens)
        if value is not None and value.words == decoded and marks in subject.roles:
            assert subject.roles[marks] == "1 where the token is 1, else 0"
            if where in subject.roles["fraction"]:
                assert result(value, [0, 1, 0, 0, 1]) == expected
                return
    raise AssertionError("not drawn")


def test_names_are_told_apart():
    subject = draft()
    assert [subject.name("first", role) for role in "xyz"] == ["first", "first_2", "first_3"]
    assert subject.roles == {"first": "x", "first_2": "y", "first_3": "z"}


def test_programs_are_causal_where_no_position_depends_on_later_ones():
    """By meaning: what comes later is changed, and nothing before it may change."""
    seen = set()
    for seed in range(60):
        case = draw_program("single", "x", random.Random(seed))
        if case is None:
            continue
        low, high = case.vocab[0], case.vocab[-1]
        words = [[low, high, low, low], [low, high, low, high], [high, low, high, low], [high, low, high, high]]
        same = all(case.run(words[i])[:3] == case.run(words[i + 1])[:3] for i in (0, 2))
        assert same or not case.causal
        seen.add(case.causal)
    assert seen == {True, False}
