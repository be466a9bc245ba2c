"""Programs that detect patterns of tokens."""

from __future__ import annotations

from string import ascii_lowercase

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import (
    LENGTH_ROLES,
    SAME_ROLES,
    after_or_none,
    before,
    before_or_none,
    length,
    none_true,
    same_tokens,
)


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
    before_previous = before_or_none(2, "before_previous")
    ab_before = rasp.SequenceMap(lambda x, y: x == "a" and y == "b", before_previous, before_or_none(1, "previous"))
    ab_before = ab_before.named("ab_before")
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
        "drop_repeats": "the token if it differs from the one before, else None",
    },
)
def drop_repeats() -> rasp.SOp:
    return rasp.SequenceMap(lambda token, last: token if token != last else None, rasp.tokens, before(1, "previous"))


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
        "first_occurrences": "the token if it occurs for the first time, else None",
    },
)
def first_occurrences() -> rasp.SOp:
    placed_token = rasp.SequenceMap(lambda token, index: f"{token}{index}", rasp.tokens, rasp.indices)
    placed_token = placed_token.named("placed_token")

    def same_up_to_here(key: str, query: str) -> bool:
        return key[0] == query[0] and int(key[1:]) <= int(query[1:])

    occurrences = rasp.SelectorWidth(rasp.Select(placed_token, placed_token, same_up_to_here)).named("occurrences")
    return rasp.SequenceMap(lambda count, token: token if count == 1 else None, occurrences, rasp.tokens)


@register(
    vocab="abcde",
    max_len=9,
    causal=True,
    interpbench_id="1",
    balanced=True,
    description="Whether the token is equal to the one two positions before; undefined at the first two positions. "
    "InterpBench speaks of rotations, but nothing else than equality at this distance is tested.",
    roles={
        "before_previous": "the token two positions before",
        "same_as_two_back": "whether it is equal to the token here",
    },
)
def same_as_two_back() -> rasp.SOp:
    before_previous = before_or_none(2, "before_previous")
    return rasp.SequenceMap(lambda x, y: x == y, before_previous, rasp.tokens).named("same_as_two_back")


@register(
    vocab=tuple(range(10)),
    max_len=9,
    interpbench_id="6",
    description="Whether exactly one of the steps to this token and from it goes up; undefined at both ends. A plateau "
    "counts as falling: true in the middle of 3, 3, 5, though nothing oscillates, false in that of 5, 3, 3.",
    roles={
        "previous": "the token one position before",
        "next": "the token one position after",
        "rises_before": "whether the token is greater than the one before",
        "rises_after": "whether the token after is greater",
        "slope_changes": "whether the two differ",
    },
)
def slope_changes() -> rasp.SOp:
    before = rasp.SequenceMap(lambda x, y: x < y, before_or_none(1, "previous"), rasp.tokens).named("rises_before")
    after = rasp.SequenceMap(lambda x, y: x < y, rasp.tokens, after_or_none(1, "next")).named("rises_after")
    return rasp.SequenceMap(lambda x, y: x != y, before, after).named("slope_changes")


@register(
    vocab=ascii_lowercase[:10],
    max_len=9,
    interpbench_id="17",
    balanced=True,
    description="Whether the token is equal to the one at the mirrored position; the sequence is a palindrome where "
    "every position says so.",
    roles={
        **LENGTH_ROLES,
        "mirrored": "the mirrored index, length - 1 - index",
        "opposite": "fetches the token at the mirrored index",
        "palindrome_positions": "whether it is equal to the token here",
    },
)
def palindrome_positions() -> rasp.SOp:
    mirrored = rasp.SequenceMap(lambda length, index: length - 1 - index, length(), rasp.indices).named("mirrored")
    mirror = rasp.Select(rasp.indices, mirrored, rasp.Comparison.EQ)
    opposite = rasp.Aggregate(mirror, rasp.tokens).named("opposite")
    return rasp.SequenceMap(lambda x, y: x == y, opposite, rasp.tokens).named("palindrome_positions")


@register(
    vocab="abc",
    max_len=9,
    interpbench_id="38",
    description="Whether the token differs from both its neighbours; undefined at both ends. InterpBench speaks of "
    "alternation between two tokens, but three different ones in a row are true too.",
    roles={
        "previous": "the token one position before",
        "next": "the token one position after",
        "differs_before": "whether the token differs from the one before",
        "differs_after": "whether the token differs from the one after",
        "differs_from_neighbours": "whether the token differs from both neighbours",
    },
)
def differs_from_neighbours() -> rasp.SOp:
    before = rasp.SequenceMap(lambda x, y: x != y, before_or_none(1, "previous"), rasp.tokens).named("differs_before")
    after = rasp.SequenceMap(lambda x, y: x != y, rasp.tokens, after_or_none(1, "next")).named("differs_after")
    return rasp.SequenceMap(lambda x, y: x and y, before, after).named("differs_from_neighbours")


@register(
    vocab=tuple(range(1, 11)),
    max_len=9,
    interpbench_id="96",
    description="The token if it occurs once in the whole sequence, else 0, at its first occurrence too (which "
    "InterpBench says is kept).",
    roles={
        **SAME_ROLES,
        "zero_repeated": "the token where no other is equal, else 0",
    },
)
def zero_repeated() -> rasp.SOp:
    same = same_tokens("same")
    return rasp.SequenceMap(lambda n, token: token if n == 1 else 0, same, rasp.tokens).named("zero_repeated")


@register(
    vocab=tuple(range(11)),
    max_len=9,
    interpbench_id="125",
    balanced=True,
    description="1 if of every two neighbouring tokens one is even and one odd, else 0, at every position.",
    roles={
        "neighbour": "the token one position before (the first position looks at the second)",
        "same_parity": "whether both are even or both odd",
        "same_parities_share": "attends to such positions and BOS: the attention left on BOS is 1 / (1 + their number)",
        "same_parities": "the number of such positions",
        "alternating_parity": "1 if there is none, else 0",
    },
)
def alternating_parity() -> rasp.SOp:
    beside = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == (query - 1 if query else 1))
    neighbour = rasp.Aggregate(beside, rasp.tokens).named("neighbour")
    same_parity = rasp.SequenceMap(lambda x, y: (x - y) % 2 == 0, neighbour, rasp.tokens).named("same_parity")
    return none_true(same_parity, "same_parities").named("alternating_parity")
