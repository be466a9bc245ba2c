"""Programs that detect patterns of tokens."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.selectors import earlier


@register(
    vocab="abc",
    max_len=14,
    causal=True,
    interpbench_id="12",
    balanced=True,
    description="True where this token and the two before it are 'a', 'b', 'c'; undefined at the first two positions.",
    roles={
        "previous": "the token one position before",
        "before_previous": "the token two positions before",
        "ab_before": "whether the two tokens before are 'a', 'b'",
        "detect_abc": "whether they are followed by 'c' here",
    },
)
def detect_abc() -> rasp.SOp:
    previous = rasp.Aggregate(earlier(1), rasp.tokens).named("previous")
    before_previous = rasp.Aggregate(earlier(2), rasp.tokens).named("before_previous")
    ab_before = rasp.SequenceMap(lambda x, y: x == "a" and y == "b", before_previous, previous).named("ab_before")
    return rasp.SequenceMap(lambda ab, token: ab and token == "c", ab_before, rasp.tokens).named("detect_abc")
