"""Programs that sort."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register

_MAX_LEN = 9


@register(
    vocab=range(10),
    max_len=_MAX_LEN,
    interpbench_id="9",
    description="The tokens, digits, in ascending order; repeated values are kept.",
    roles={
        "smaller_share": "attends to smaller tokens and BOS: the attention left on BOS is 1 / (1 + their number)",
        "smaller": "how many tokens are smaller: where the block of this token begins in the sorted sequence",
        "equal_share": "attends to equal tokens and BOS: the attention left on BOS is 1 / (1 + their number)",
        "equal": "how many tokens are equal, itself included: how long the block of this token is",
        "block": "which places of the sorted sequence hold this token: the first one and their number",
        "sort_digits": "fetches the token whose block covers this position",
    },
)
def sort_digits() -> rasp.SOp:
    smaller = rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.LT)).named("smaller")
    equal = rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)).named("equal")
    block = rasp.SequenceMap(lambda first, count: first * (_MAX_LEN + 1) + count, smaller, equal).named("block")
    covers = rasp.Select(block, rasp.indices, lambda block, index: 0 <= index - block // 10 < block % 10)
    return rasp.Aggregate(covers, rasp.tokens).named("sort_digits")
