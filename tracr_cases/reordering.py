"""Programs that move tokens between positions."""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_lowercase

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import LENGTH_ROLES, before, count_true, length, token_at, token_from_end

_NUMBERS = tuple(range(11))


def _fetch_from(source: Callable[[int, int], int]) -> rasp.SOp:
    """The token at the index `source(length, index)`."""
    index = rasp.SequenceMap(source, length(), rasp.indices).named("source")
    return rasp.Aggregate(rasp.Select(rasp.indices, index, rasp.Comparison.EQ), rasp.tokens)


@register(
    vocab=ascii_lowercase,
    max_len=9,
    interpbench_id="2",
    description="The sequence read backwards.",
    roles={
        **LENGTH_ROLES,
        "mirrored": "the index that this position reads from, length - 1 - index",
        "reverse": "fetches the token at the mirrored index",
    },
)
def reverse() -> rasp.SOp:
    mirrored = rasp.SequenceMap(lambda length, index: length - 1 - index, length(), rasp.indices).named("mirrored")
    select = rasp.Select(rasp.indices, mirrored, rasp.Comparison.EQ)
    return rasp.Aggregate(select, rasp.tokens).named("reverse")


@register(
    vocab=ascii_lowercase[:10],
    max_len=9,
    causal=True,
    interpbench_id="42",
    description="The first token, at every position.",
    roles={"first_token_everywhere": "fetches the token at index 0"},
)
def first_token_everywhere() -> rasp.SOp:
    return token_at(0, "first_token_everywhere")


@register(
    vocab=tuple(range(30)),
    max_len=9,
    interpbench_id="113",
    description="The sequence reversed if no token is smaller than the one before it, else unchanged.",
    sampler="often_sorted",
    roles={
        "previous": "the token one position before (the first position looks at itself)",
        "drop": "whether this token is smaller than the one before",
        "drops_share": "attends to drops and BOS: the attention left on BOS is 1 / (1 + number of drops)",
        "drops": "the number of drops; none where the sequence is sorted",
        **LENGTH_ROLES,
        "mirror_length": "the length if the sequence is sorted, else 0",
        "source": "the index that this position reads from: mirrored if sorted, else its own",
        "reverse_if_sorted": "fetches the token at that index",
    },
)
def reverse_if_sorted() -> rasp.SOp:
    drop = rasp.SequenceMap(lambda x, y: x > y, before(1, "previous"), rasp.tokens).named("drop")
    drops = count_true(drop, "drops")
    mirror_length = rasp.SequenceMap(lambda n, size: 0 if n else size, drops, length()).named("mirror_length")
    source = rasp.SequenceMap(lambda size, index: size - 1 - index if size else index, mirror_length, rasp.indices)
    source = source.named("source")
    select = rasp.Select(rasp.indices, source, rasp.Comparison.EQ)
    return rasp.Aggregate(select, rasp.tokens).named("reverse_if_sorted")


@register(
    vocab=ascii_lowercase[:10],
    max_len=9,
    interpbench_id="57",
    description="The second token, at every position.",
    roles={"second_token_everywhere": "fetches the token at index 1"},
)
def second_token_everywhere() -> rasp.SOp:
    return token_at(1, "second_token_everywhere")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="58",
    description="The first half of the sequence, and its mirror image in place of the second; a middle token stays.",
    roles={
        **LENGTH_ROLES,
        "source": "the index that this position reads from: its own in the first half, mirrored in the second",
        "mirror_first_half": "fetches the token at that index",
    },
)
def mirror_first_half() -> rasp.SOp:
    def source(length: int, index: int) -> int:
        return index if index < length // 2 else length - 1 - index

    return _fetch_from(source).named("mirror_first_half")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="74",
    description="The tokens at odd positions in reverse order; those at even positions stay.",
    roles={
        **LENGTH_ROLES,
        "source": "the index that this position reads from: its own if even, mirrored among the odd ones if odd",
        "interleave_reversed": "fetches the token at that index",
    },
)
def interleave_reversed() -> rasp.SOp:
    def source(length: int, index: int) -> int:
        return index if index % 2 == 0 else length - length % 2 - index

    return _fetch_from(source).named("interleave_reversed")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="93",
    description="Positions 1 and 2, 3 and 4, ... interchange their tokens; the first stays, and a last one on its own.",
    roles={
        **LENGTH_ROLES,
        "source": "the index that this position reads from: its partner's, its own where it has none",
        "swap_pairs_from_one": "fetches the token at that index",
    },
)
def swap_pairs_from_one() -> rasp.SOp:
    def source(length: int, index: int) -> int:
        partner = index + 1 if index % 2 else index - 1
        return partner if 0 < partner < length else index

    return _fetch_from(source).named("swap_pairs_from_one")


@register(
    vocab=_NUMBERS,
    max_len=10,
    interpbench_id="100",
    description="The first two tokens exchanged; all others stay.",
    roles={"swap_first_two": "fetches the token at index 1 for index 0, that at 0 for 1, elsewhere its own"},
)
def swap_first_two() -> rasp.SOp:
    swapped = {0: 1, 1: 0}
    select = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == swapped.get(query, query))
    return rasp.Aggregate(select, rasp.tokens).named("swap_first_two")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="103",
    description="Positions 0 and 1, 2 and 3, ... interchange their tokens; a last one on its own stays.",
    roles={
        **LENGTH_ROLES,
        "source": "the index that this position reads from: its partner's, its own where it has none",
        "swap_pairs": "fetches the token at that index",
    },
)
def swap_pairs() -> rasp.SOp:
    def source(length: int, index: int) -> int:
        partner = index - 1 if index % 2 else index + 1
        return partner if partner < length else index

    return _fetch_from(source).named("swap_pairs")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="110",
    description="The first tokens of the sequence with a 0 after each: token i / 2 at even positions i, 0 at odd ones; "
    "the latter part of the sequence is lost.",
    roles={
        "at_half": "the token at half this index, rounded down",
        "spread_with_zeros": "the token at half this index at even positions, 0 at odd ones",
    },
)
def spread_with_zeros() -> rasp.SOp:
    half = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query // 2)
    at_half = rasp.Aggregate(half, rasp.tokens).named("at_half")
    spread = rasp.SequenceMap(lambda token, index: 0 if index % 2 else token, at_half, rasp.indices)
    return spread.named("spread_with_zeros")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="111",
    description="The last token at the first position, 0 at all others.",
    roles={
        **LENGTH_ROLES,
        "last": "fetches the last token",
        "last_token_first": "the last token at the first position, 0 at the others",
    },
)
def last_token_first() -> rasp.SOp:
    last = token_from_end(length(), 1, "last")
    kept = rasp.SequenceMap(lambda token, index: 0 if index else token, last, rasp.indices)
    return kept.named("last_token_first")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="120",
    description="The first and the second half of the sequence exchanged, each in its order; a middle token stays.",
    roles={
        **LENGTH_ROLES,
        "source": "the index that this position reads from: as far into the other half; in the middle its own",
        "swap_halves": "fetches the token at that index",
    },
)
def swap_halves() -> rasp.SOp:
    def source(length: int, index: int) -> int:
        half, distance = length // 2, (length + 1) // 2
        return index + distance if index < half else index - distance if index >= distance else index

    return _fetch_from(source).named("swap_halves")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="128",
    description="The first and the last token exchanged; all others stay.",
    roles={
        **LENGTH_ROLES,
        "source": "the index that this position reads from: the other end's at an end, elsewhere its own",
        "swap_first_last": "fetches the token at that index",
    },
)
def swap_first_last() -> rasp.SOp:
    def source(length: int, index: int) -> int:
        return {0: length - 1, length - 1: 0}.get(index, index)

    return _fetch_from(source).named("swap_first_last")
