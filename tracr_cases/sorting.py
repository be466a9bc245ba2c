"""Programs that sort."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register

_DIGITS = tuple(range(10))
_MAX_LEN = 9


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    interpbench_id="9",
    description="The tokens, digits, in ascending order; repeated values are kept.",
    roles={
        "sort_key": "the digit, ties broken by position",
        "rank_share": "attends to smaller keys and BOS: the attention left on BOS is 1 / (1 + rank)",
        "rank": "how many keys are smaller: the token's place in the sorted sequence",
        "sort_digits": "fetches the token whose rank is this position",
    },
)
def sort_digits() -> rasp.SOp:
    sort_key = rasp.SequenceMap(lambda token, index: token * _MAX_LEN + index, rasp.tokens, rasp.indices)
    sort_key = sort_key.named("sort_key")
    rank = rasp.SelectorWidth(rasp.Select(sort_key, sort_key, rasp.Comparison.LT)).named("rank")
    return rasp.Aggregate(rasp.Select(rank, rasp.indices, rasp.Comparison.EQ), rasp.tokens).named("sort_digits")
