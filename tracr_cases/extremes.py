"""Programs about the largest and smallest tokens."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import (
    count,
    count_all,
    count_up_to_here,
    fetch,
    fetch_where_none,
    greater_tokens,
    places,
    smaller_tokens,
)

_DIGITS = tuple(range(6))
_MAX_LEN = 8
_LARGER = {
    "larger_share": "attends to larger tokens and BOS: the attention left on BOS is 1 / (1 + their number)",
    "larger": "the number of larger tokens, 0 for the maximum",
}


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="The second largest token, at every position; the maximum itself where it occurs twice.",
    roles={
        **_LARGER,
        "at_least_share": "attends to tokens not smaller and BOS: the attention left on BOS is 1 / (1 + their number)",
        "at_least": "the number of tokens that are not smaller, itself included",
        "is_second": "whether the second place of the descending order falls on this value",
        "second_largest": "fetches the token of that value",
    },
)
def second_largest() -> rasp.SOp:
    at_least = count(rasp.tokens, rasp.tokens, lambda key, query: key >= query, "at_least")
    second = rasp.SequenceMap(lambda larger, least: larger < 2 <= least, greater_tokens("larger"), at_least)
    return fetch(rasp.tokens, second.named("is_second"), rasp.tokens, lambda key, query: key, "second_largest")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="The largest token minus the smallest, at every position.",
    roles={
        **_LARGER,
        "smaller_share": "attends to smaller tokens and BOS: the attention left on BOS is 1 / (1 + their number)",
        "smaller": "the number of smaller tokens, 0 for the minimum",
        "maximum": "fetches the token that no other exceeds",
        "minimum": "fetches the token that exceeds no other",
        "value_range": "the maximum minus the minimum",
    },
)
def value_range() -> rasp.SOp:
    smaller = smaller_tokens("smaller")
    maximum = fetch_where_none(rasp.tokens, greater_tokens("larger"), "maximum")
    minimum = fetch_where_none(rasp.tokens, smaller, "minimum")
    return rasp.SequenceMap(lambda high, low: max(high - low, 0), maximum, minimum).named("value_range")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    balanced=True,
    description="How often the largest token occurs, at every position.",
    roles={
        **_LARGER,
        "maxima_share": "attends to tokens with no larger one and BOS: the attention left on BOS is 1 / (1 + number)",
        "maxima": "the number of tokens with no larger one",
    },
)
def maxima() -> rasp.SOp:
    return count_all(greater_tokens("larger"), lambda n: n == 0, "maxima")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="The largest token of the sequence minus this one.",
    roles={
        **_LARGER,
        "maximum": "fetches the token that no other exceeds",
        "distance_to_maximum": "the maximum minus the token",
    },
)
def distance_to_maximum() -> rasp.SOp:
    maximum = fetch_where_none(rasp.tokens, greater_tokens("larger"), "maximum")
    return rasp.SequenceMap(lambda high, token: max(high - token, 0), maximum, rasp.tokens).named("distance_to_maximum")


@register(
    vocab=(1, 2, 3),
    max_len=_MAX_LEN,
    causal=True,
    balanced=True,
    description="The largest token up to and including this position.",
    roles={
        "two_at": "the index where there is a 2, else a place behind all positions",
        "three_at": "the index where there is a 3, else a place behind all positions",
        "twos_share": "attends to 2 up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "twos": "the number of 2 up to here",
        "threes_share": "attends to 3 up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "threes": "the number of 3 up to here",
        "running_maximum": "the largest of the tokens whose number is not 0",
    },
)
def running_maximum() -> rasp.SOp:
    twos = count_up_to_here(places(lambda token, index: token == 2, rasp.tokens, "two_at"), "twos")
    threes = count_up_to_here(places(lambda token, index: token == 3, rasp.tokens, "three_at"), "threes")
    largest = rasp.SequenceMap(lambda twos, threes: 3 if threes else 2 if twos else 1, twos, threes)
    return largest.named("running_maximum")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    causal=True,
    balanced=True,
    description="The sequence with '-' in place of every token that is not larger than all tokens before it.",
    roles={
        "place": "the token together with its position",
        "as_large_share": "attends to earlier tokens that are not smaller and BOS: the attention left on BOS is "
        "1 / (1 + their number)",
        "as_large": "the number of earlier tokens that are not smaller, 0 for a record",
        "records": "the token, if it is a record",
    },
)
def records() -> rasp.SOp:
    def as_large_before(key: int, query: int) -> bool:
        return key // _MAX_LEN >= query // _MAX_LEN and key % _MAX_LEN < query % _MAX_LEN

    place = rasp.SequenceMap(lambda token, index: token * _MAX_LEN + index, rasp.tokens, rasp.indices).named("place")
    as_large = count(place, place, as_large_before, "as_large")
    return rasp.SequenceMap(lambda n, token: "-" if n else token, as_large, rasp.tokens).named("records")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="Whether this token is nearer to the largest or to the smallest one: 'high', 'low', or 'middle'.",
    roles={
        **_LARGER,
        "smaller_share": "attends to smaller tokens and BOS: the attention left on BOS is 1 / (1 + their number)",
        "smaller": "the number of smaller tokens, 0 for the minimum",
        "maximum": "fetches the token that no other exceeds",
        "minimum": "fetches the token that exceeds no other",
        "extremes_sum": "the sum of the two, twice the middle of the range",
        "nearer_extreme": "which extreme is nearer: twice the token compared with their sum",
    },
)
def nearer_extreme() -> rasp.SOp:
    def side(total: int, token: int) -> str:
        return "high" if 2 * token > total else "low" if 2 * token < total else "middle"

    smaller = smaller_tokens("smaller")
    maximum = fetch_where_none(rasp.tokens, greater_tokens("larger"), "maximum")
    minimum = fetch_where_none(rasp.tokens, smaller, "minimum")
    total = rasp.SequenceMap(lambda high, low: high + low, maximum, minimum).named("extremes_sum")
    return rasp.SequenceMap(side, total, rasp.tokens).named("nearer_extreme")
