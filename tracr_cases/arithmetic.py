"""Programs that calculate."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import (
    LARGEST_ROLES,
    LENGTH_ROLES,
    before_or_none,
    largest_token,
    length,
    quotient,
    token_at,
    token_from_end,
)

_NUMBERS = tuple(range(11))
_NEXT_ROLES = {
    **LENGTH_ROLES,
    "next_index": "the index after this one; at the last position its own",
    "next": "fetches the token at that index",
}


def _with_next(f: Callable[[int, int], int]) -> rasp.SOp:
    """f of the token and the next one; the last token is its own next."""
    after = rasp.SequenceMap(lambda length, index: min(index + 1, length - 1), length(), rasp.indices)
    select = rasp.Select(rasp.indices, after.named("next_index"), rasp.Comparison.EQ)
    return rasp.SequenceMap(f, rasp.tokens, rasp.Aggregate(select, rasp.tokens).named("next"))


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="45",
    description="The tokens of the first half doubled, a middle one too; the others stay.",
    roles={
        **LENGTH_ROLES,
        "first_half": "whether this position is in the first half or the middle",
        "double_first_half": "twice the token in the first half or the middle, else the token",
    },
)
def double_first_half() -> rasp.SOp:
    first_half = rasp.SequenceMap(lambda length, index: 2 * index < length, length(), rasp.indices).named("first_half")
    doubled = rasp.SequenceMap(lambda first, token: 2 * token if first else token, first_half, rasp.tokens)
    return doubled.named("double_first_half")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="67",
    description="The token times the length of the sequence.",
    roles={**LENGTH_ROLES, "times_length": "the token times the length"},
)
def times_length() -> rasp.SOp:
    return rasp.SequenceMap(lambda token, length: token * length, rasp.tokens, length()).named("times_length")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="71",
    description="The token divided by the length of the sequence.",
    roles={**LENGTH_ROLES, "divide_by_length": "the token divided by the length"},
)
def divide_by_length() -> rasp.SOp:
    return rasp.SequenceMap(quotient, rasp.tokens, length()).named("divide_by_length")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="82",
    description="The tokens of the second half halved, a middle one too, fractions kept; the others stay.",
    roles={
        **LENGTH_ROLES,
        "second_half": "whether this position is in the second half or the middle",
        "halve_second_half": "half the token in the second half or the middle, else the token",
    },
)
def halve_second_half() -> rasp.SOp:
    second_half = rasp.SequenceMap(lambda length, index: index >= length // 2, length(), rasp.indices)
    second_half = second_half.named("second_half")
    halved = rasp.SequenceMap(lambda second, token: token / 2 if second else token, second_half, rasp.tokens)
    return halved.named("halve_second_half")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="88",
    description="The mean of the first and the last token, at every position.",
    roles={
        **LENGTH_ROLES,
        "first": "fetches the first token",
        "last": "fetches the last token",
        "mean_first_last": "the mean of the first and the last token",
    },
)
def mean_first_last() -> rasp.SOp:
    first = token_at(0, "first")
    last = token_from_end(length(), 1, "last")
    return rasp.SequenceMap(lambda x, y: (x + y) / 2, first, last).named("mean_first_last")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="97",
    description="The token divided by the largest token of the sequence; 0 where that is 0.",
    roles={**LARGEST_ROLES, "scale_by_max": "the token divided by the largest"},
)
def scale_by_max() -> rasp.SOp:
    scaled = rasp.SequenceMap(lambda token, top: token / top if top else 0, rasp.tokens, largest_token())
    return scaled.named("scale_by_max")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="99",
    description="The sum of the token and the next one; the last token, which has no next, is added to itself.",
    roles={**_NEXT_ROLES, "sum_with_next": "the sum of the next token and the token here"},
)
def sum_with_next() -> rasp.SOp:
    return _with_next(lambda token, following: token + following).named("sum_with_next")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="112",
    description="The next token minus this one; 0 at the last, which has no next and is subtracted from itself.",
    roles={**_NEXT_ROLES, "difference_to_next": "the next token minus the token here"},
)
def difference_to_next() -> rasp.SOp:
    return _with_next(lambda token, following: following - token).named("difference_to_next")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="115",
    description="The product of the token and the next one; the last token, which has no next, is squared.",
    roles={**_NEXT_ROLES, "product_with_next": "the product of the next token and the token here"},
)
def product_with_next() -> rasp.SOp:
    return _with_next(lambda token, following: token * following).named("product_with_next")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="117",
    description="The sum of the last two tokens, at every position.",
    roles={
        **LENGTH_ROLES,
        "last": "fetches the last token",
        "before_last": "fetches the last but one",
        "sum_last_two": "the sum of the last two tokens",
    },
)
def sum_last_two() -> rasp.SOp:
    size = length()
    last = token_from_end(size, 1, "last")
    before_last = token_from_end(size, 2, "before_last")
    return rasp.SequenceMap(lambda x, y: x + y, before_last, last).named("sum_last_two")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="118",
    description="The sum of the token and the one before; undefined at the first position, which has none before it "
    "(and is not padded with 0, as InterpBench's program means to).",
    roles={
        "previous": "the token one position before",
        "sum_with_previous": "the sum of the token before and the token here",
    },
)
def sum_with_previous() -> rasp.SOp:
    return rasp.SequenceMap(lambda x, y: x + y, before_or_none(1, "previous"), rasp.tokens).named("sum_with_previous")


@register(
    vocab=tuple(range(6)),
    max_len=4,
    interpbench_id="119",
    description="With four tokens x, a, b, c the value of a x^2 + b x + c, at every position; sequences of three, the "
    "only other length, are undefined throughout.",
    roles={
        "x": "fetches the first token, the argument",
        "a": "fetches the second token, the coefficient of x^2",
        "b": "fetches the third token, the coefficient of x",
        "c": "fetches the fourth token, the constant term",
        "quadratic_term": "a x^2",
        "linear_term": "b x",
        "without_constant": "a x^2 + b x",
        "quadratic_of_first": "a x^2 + b x + c",
    },
)
def quadratic_of_first() -> rasp.SOp:
    x, a, b, c = (token_at(index, name) for index, name in enumerate("xabc"))
    quadratic = rasp.SequenceMap(lambda x, a: a * x * x, x, a).named("quadratic_term")
    linear = rasp.SequenceMap(lambda x, b: b * x, x, b).named("linear_term")
    without_constant = rasp.SequenceMap(lambda x, y: x + y, quadratic, linear).named("without_constant")
    return rasp.SequenceMap(lambda value, c: value + c, without_constant, c).named("quadratic_of_first")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="127",
    description="The token divided by the ratio of the first two tokens, second over first; the token itself where one "
    "of them is 0.",
    roles={
        "first": "fetches the first token",
        "second": "fetches the second token",
        "ratio": "the second divided by the first, 1 where one of them is 0",
        "divide_by_ratio_of_first_two": "the token divided by the ratio",
    },
)
def divide_by_ratio_of_first_two() -> rasp.SOp:
    first = token_at(0, "first")
    second = token_at(1, "second")
    ratio = rasp.SequenceMap(lambda x, y: y / x if x and y else 1, first, second).named("ratio")

    def divide(token: int, ratio: float) -> float:
        # Exactly, so that one quotient is one class: 9 / (9 / 10) is 10, and 6 / (9 / 10) is 20 / 3.
        return float(token / Fraction(ratio).limit_denominator(max(_NUMBERS)))

    return rasp.SequenceMap(divide, rasp.tokens, ratio).named("divide_by_ratio_of_first_two")
