"""Programs that count."""

from __future__ import annotations

from string import ascii_lowercase

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import (
    LENGTH_ROLES,
    SAME_ROLES,
    flag,
    greater_tokens,
    length,
    prefix,
    quotient,
    same_tokens,
    smaller_tokens,
)


@register(
    vocab="abcx",
    max_len=4,
    causal=True,
    interpbench_id="3",
    description="The fraction of 'x' among the tokens up to and including this position.",
    roles={
        "is_x": "1 where the token is 'x', else 0",
        "frac_prevs": "averages is_x over the prefix",
    },
)
def frac_prevs() -> rasp.SOp:
    is_x = flag(rasp.tokens, "x", "is_x")
    return rasp.numerical(rasp.Aggregate(prefix(), is_x, default=0)).named("frac_prevs")


@register(
    vocab="abc",
    max_len=9,
    interpbench_id="7",
    balanced=True,
    description="How many times the token at this position occurs in the whole sequence, itself included.",
    roles={
        "histogram_share": "attends to equal tokens and BOS: the attention left on BOS is 1 / (1 + count)",
        "histogram": "how many tokens are equal to this one, itself included",
    },
)
def histogram() -> rasp.SOp:
    return same_tokens("histogram")


@register(
    vocab="abc",
    max_len=9,
    interpbench_id="14",
    balanced=True,
    description="How many times 'a' occurs in the whole sequence, at every position.",
    roles={
        "count_a_share": "attends to every 'a' and BOS: the attention left on BOS is 1 / (1 + count)",
        "count_a": "the number of 'a'",
    },
)
def count_a() -> rasp.SOp:
    every_a = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key == "a")
    return rasp.SelectorWidth(every_a).named("count_a")


@register(
    vocab="abcde",
    max_len=9,
    interpbench_id="18",
    balanced=True,
    description="How often the token at this position occurs: 'frequent' in more than a half of the sequence, 'common' "
    "in more than a quarter, else 'rare'.",
    roles={
        **LENGTH_ROLES,
        **SAME_ROLES,
        "frequency_class": "which class the token's count is in, compared with the length",
    },
)
def frequency_class() -> rasp.SOp:
    def name(same: int, length: int) -> str:
        return "frequent" if 2 * same > length else "common" if 4 * same > length else "rare"

    return rasp.SequenceMap(name, same_tokens("same"), length()).named("frequency_class")


@register(
    vocab="abc",
    max_len=9,
    interpbench_id="25",
    balanced=True,
    description="The fraction of the whole sequence that is equal to the token at this position.",
    roles={
        **LENGTH_ROLES,
        **SAME_ROLES,
        "token_frequency": "the token's count divided by the length",
    },
)
def token_frequency() -> rasp.SOp:
    return rasp.SequenceMap(quotient, same_tokens("same"), length()).named("token_frequency")


@register(
    vocab=ascii_lowercase,
    max_len=59,
    causal=True,
    interpbench_id="39",
    description="The fraction of 'x' among the tokens up to and including this position, in long sequences.",
    roles={
        "is_x": "1 where the token is 'x', else 0",
        "frac_prevs_long": "averages is_x over the prefix",
    },
)
def frac_prevs_long() -> rasp.SOp:
    is_x = flag(rasp.tokens, "x", "is_x")
    return rasp.numerical(rasp.Aggregate(prefix(), is_x, default=0)).named("frac_prevs_long")


@register(
    vocab=tuple(range(11)),
    max_len=9,
    interpbench_id="44",
    balanced=True,
    description="How many tokens of the whole sequence are greater than the token at this position.",
    roles={
        "count_greater_share": "attends to greater tokens and BOS: the attention left on BOS is 1 / (1 + count)",
        "count_greater": "how many tokens are greater than this one",
    },
)
def count_greater() -> rasp.SOp:
    return greater_tokens("count_greater")


@register(
    vocab=ascii_lowercase[:10],
    max_len=9,
    interpbench_id="47",
    balanced=True,
    description="How many times the token at this position occurs in the whole sequence, itself included (ten letters; "
    "the same task as count_occurrences).",
    roles={
        "count_same_share": "attends to equal tokens and BOS: the attention left on BOS is 1 / (1 + count)",
        "count_same": "how many tokens are equal to this one, itself included",
    },
)
def count_same() -> rasp.SOp:
    return same_tokens("count_same")


@register(
    vocab=tuple(range(11)),
    max_len=9,
    interpbench_id="63",
    balanced=True,
    description="How many tokens of the whole sequence are smaller than the token at this position.",
    roles={
        "count_less_share": "attends to smaller tokens and BOS: the attention left on BOS is 1 / (1 + count)",
        "count_less": "how many tokens are smaller than this one",
    },
)
def count_less() -> rasp.SOp:
    return smaller_tokens("count_less")


@register(
    vocab=ascii_lowercase[:10],
    max_len=9,
    interpbench_id="78",
    balanced=True,
    description="How many times the token at this position occurs in the whole sequence, itself included (ten letters; "
    "the same task as count_same, here the length less the number of different tokens).",
    roles={
        **LENGTH_ROLES,
        "different_share": "attends to different tokens and BOS: the attention left on BOS is 1 / (1 + different)",
        "different": "how many tokens differ from this one",
        "count_occurrences": "the length minus the number of different tokens",
    },
)
def count_occurrences() -> rasp.SOp:
    different = rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.NEQ)).named("different")
    return rasp.SequenceMap(lambda length, n: length - n, length(), different).named("count_occurrences")
