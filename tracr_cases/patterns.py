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


@register(
    vocab="abc",
    max_len=14,
    causal=True,
    none_is_answer=True,
    interpbench_id="19",
    description="The token where it differs from the one before it, else None, which is an answer. The first position "
    "looks at itself, so that its token is always lost, although it starts a run.",
    roles={
        "previous": "the token one position before (the first position looks at itself)",
        "drop_repeats": "passes the token on if it differs from the one before, else None",
    },
)
def drop_repeats() -> rasp.SOp:
    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == max(query - 1, 0))
    previous = rasp.Aggregate(before, rasp.tokens).named("previous")
    return rasp.SequenceMap(lambda token, last: token if token != last else None, rasp.tokens, previous)


@register(
    vocab="abc",
    max_len=9,
    causal=True,
    none_is_answer=True,
    interpbench_id="21",
    description="The token where it occurs for the first time, None, which is an answer, wherever it occurs again.",
    roles={
        "placed_token": "the token together with its index",
        "occurrences_share": "attends to this token up to here and BOS: the attention left on BOS is 1 / (1 + number)",
        "occurrences": "how often the token occurred up to here, itself included",
        "first_occurrences": "passes the token on if that is 1, else None",
    },
)
def first_occurrences() -> rasp.SOp:
    placed_token = rasp.SequenceMap(lambda token, index: f"{token}{index}", rasp.tokens, rasp.indices)
    placed_token = placed_token.named("placed_token")

    def same_up_to_here(key: str, query: str) -> bool:
        return key[0] == query[0] and int(key[1:]) <= int(query[1:])

    occurrences = rasp.SelectorWidth(rasp.Select(placed_token, placed_token, same_up_to_here)).named("occurrences")
    return rasp.SequenceMap(lambda count, token: token if count == 1 else None, occurrences, rasp.tokens)
