"""Programs that move tokens between positions."""

from __future__ import annotations

from string import ascii_lowercase

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.selectors import length


@register(
    vocab=ascii_lowercase,
    max_len=9,
    interpbench_id="2",
    description="The sequence read backwards.",
    roles={
        "length_share": "attends to all tokens and BOS: the attention left on BOS is 1 / (1 + length)",
        "length": "the number of tokens",
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
    first = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == 0)
    return rasp.Aggregate(first, rasp.tokens).named("first_token_everywhere")


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
        "length_share": "attends to all tokens and BOS: the attention left on BOS is 1 / (1 + length)",
        "length": "the number of tokens",
        "mirror_length": "the length if the sequence is sorted, else 0",
        "source": "the index that this position reads from: mirrored if sorted, else its own",
        "reverse_if_sorted": "fetches the token at that index",
    },
)
def reverse_if_sorted() -> rasp.SOp:
    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == max(query - 1, 0))
    previous = rasp.Aggregate(before, rasp.tokens).named("previous")
    drop = rasp.SequenceMap(lambda x, y: x > y, previous, rasp.tokens).named("drop")
    drops = rasp.SelectorWidth(rasp.Select(drop, drop, lambda key, query: key)).named("drops")
    mirror_length = rasp.SequenceMap(lambda n, size: 0 if n else size, drops, length()).named("mirror_length")
    source = rasp.SequenceMap(lambda size, index: size - 1 - index if size else index, mirror_length, rasp.indices)
    source = source.named("source")
    select = rasp.Select(rasp.indices, source, rasp.Comparison.EQ)
    return rasp.Aggregate(select, rasp.tokens).named("reverse_if_sorted")
