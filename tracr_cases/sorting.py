"""Programs that sort."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import EARLIER_SAME_ROLES, LENGTH_ROLES, earlier_same, length, smaller_tokens

_DIGITS = tuple(range(10))
_NUMBERS = tuple(range(11))
_MAX_LEN = 9

_SMALLER_ROLES = {
    "smaller_share": "attends to smaller tokens and BOS: the attention left on BOS is 1 / (1 + smaller)",
    "smaller": "how many tokens are smaller: the first place of this token's value in the sorted sequence",
}
_RANK_ROLES = {
    "rank_share": "attends to smaller keys and BOS: the attention left on BOS is 1 / (1 + rank)",
    "rank": "how many keys are smaller: the token's place in the sorted sequence",
}
_PLACES_ROLES = {
    **_SMALLER_ROLES,
    "not_greater_share": "attends to tokens that are not greater and BOS, which keeps 1 / (1 + not_greater)",
    "not_greater": "how many tokens are not greater: the end of its value's places",
    "places": "the first place and the end, as two digits",
}


def _rank() -> rasp.SOp:
    """The place of each token in the sorted sequence, ties broken by position."""
    sort_key = rasp.SequenceMap(lambda token, index: token * _MAX_LEN + index, rasp.tokens, rasp.indices)
    sort_key = sort_key.named("sort_key")
    return rasp.SelectorWidth(rasp.Select(sort_key, sort_key, rasp.Comparison.LT)).named("rank")


def _places() -> rasp.SOp:
    """The places that a token shares with all equal ones in the sorted sequence: the first one, and the end."""
    not_greater = rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.LEQ)).named("not_greater")
    smaller = smaller_tokens("smaller")
    return rasp.SequenceMap(lambda first, end: 10 * first + end, smaller, not_greater).named("places")


def _hold(places: int | None, place: int) -> bool:
    """Whether `place` is among the places; padding has none."""
    return places is not None and places // 10 <= place < places % 10


def _mean(lower: int, upper: int) -> float:
    return (lower + upper) / 2


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    interpbench_id="9",
    description="The tokens, digits, in ascending order; repeated values are kept.",
    roles={
        **_SMALLER_ROLES,
        **EARLIER_SAME_ROLES,
        "rank": "their sum: the token's place in the sorted sequence",
        "sort_digits": "fetches the token whose rank is this position",
    },
    # Of uniform tokens few are the third of their kind, and what is rare is learned late.
    sampler="often_repeated",
    # Ranks of one input's tokens among another's often coincide, so that few positions have an answer.
    rearranged=True,
)
def sort_digits() -> rasp.SOp:
    rank = rasp.SequenceMap(
        lambda smaller, earlier: smaller + earlier, smaller_tokens("smaller"), earlier_same(_DIGITS, _MAX_LEN)
    ).named("rank")
    return rasp.Aggregate(rasp.Select(rank, rasp.indices, rasp.Comparison.EQ), rasp.tokens).named("sort_digits")


@register(
    vocab=_NUMBERS,
    max_len=_MAX_LEN,
    interpbench_id="59",
    description="The tokens, 0 to 10, in ascending order; repeated values are kept, their positions are not looked at.",
    roles={**_PLACES_ROLES, "sort_ints": "fetches the tokens that this position is a place of, all equal"},
)
def sort_ints() -> rasp.SOp:
    return rasp.Aggregate(rasp.Select(_places(), rasp.indices, _hold), rasp.tokens).named("sort_ints")


@register(
    vocab=_NUMBERS,
    max_len=_MAX_LEN,
    interpbench_id="61",
    description="The rank of the token at this position, 1 for the smallest; equal tokens share the lowest.",
    roles={
        "smaller_share": "attends to smaller tokens and BOS: the attention left on BOS is 1 / (1 + smaller)",
        "smaller": "how many tokens are smaller",
        "rank": "one more than the number of smaller tokens",
    },
)
def rank() -> rasp.SOp:
    return rasp.Map(lambda smaller: smaller + 1, smaller_tokens("smaller")).named("rank")


@register(
    vocab=_NUMBERS,
    max_len=_MAX_LEN,
    interpbench_id="81",
    description="The median of all tokens, at every position; the mean of the two middle ones where their number is "
    "even. The same task as median_everywhere; here equal tokens share their places in the sorted sequence.",
    roles={
        **_PLACES_ROLES,
        **LENGTH_ROLES,
        "lower": "fetches the tokens at the middle of the sorted sequence, or just before it",
        "upper": "fetches the tokens at the middle of the sorted sequence, or just after it",
        "median": "the mean of the two middle tokens",
    },
)
def median() -> rasp.SOp:
    places, size = _places(), length()
    lower = rasp.Select(places, size, lambda key, query: _hold(key, (query - 1) // 2))
    upper = rasp.Select(places, size, lambda key, query: _hold(key, query // 2))
    return rasp.SequenceMap(
        _mean, rasp.Aggregate(lower, rasp.tokens).named("lower"), rasp.Aggregate(upper, rasp.tokens).named("upper")
    ).named("median")


@register(
    vocab=_NUMBERS,
    max_len=_MAX_LEN,
    interpbench_id="126",
    description="The median of all tokens, at every position; the mean of the two middle ones where their number is "
    "even. The same task as median; here equal tokens are ranked by position.",
    roles={
        "sort_key": "the token, ties broken by position",
        **_RANK_ROLES,
        **LENGTH_ROLES,
        "lower": "fetches the token whose rank is the middle, or just before it",
        "upper": "fetches the token whose rank is the middle, or just after it",
        "median_everywhere": "the mean of the two middle tokens",
    },
)
def median_everywhere() -> rasp.SOp:
    ranks, size = _rank(), length()
    lower = rasp.Select(ranks, size, lambda key, query: key == (query - 1) // 2)
    upper = rasp.Select(ranks, size, lambda key, query: key == query // 2)
    return rasp.SequenceMap(
        _mean, rasp.Aggregate(lower, rasp.tokens).named("lower"), rasp.Aggregate(upper, rasp.tokens).named("upper")
    ).named("median_everywhere")
