"""Programs about neighbouring tokens. Where there is nothing before a position, the first token stands in."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import before, before_or_none, count, count_all, count_up_to_here, flag, places, prefix

_DIGITS = tuple(range(6))
_MAX_LEN = 8
_PREVIOUS = "the token one position before (the first position looks at itself)"
_BEFORE_PREVIOUS = "the token two positions before (the first positions look at the first one)"

_MAY_FOLLOW = {"a": "ab", "b": "bc", "c": "a"}
"""The rule table: which tokens may follow a token."""


def _illegal() -> rasp.SOp:
    """Whether the rule table forbids this token behind the one before; undefined at the first position."""
    previous = before_or_none(1, "previous")
    return rasp.SequenceMap(lambda x, y: y not in _MAY_FOLLOW[x], previous, rasp.tokens).named("illegal")


_ILLEGAL = {
    "previous": "the token one position before; undefined at the first",
    "illegal": "whether the rule table forbids this token behind that one",
}


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    balanced=True,
    description="How many tokens may not follow the one before them, at every position: 'a' is followed by 'a' or 'b', "
    "'b' by 'b' or 'c', 'c' by 'a'.",
    roles={
        **_ILLEGAL,
        "bigram_violations_share": "attends to illegal tokens and BOS: the attention left on BOS is 1 / (1 + number)",
        "bigram_violations": "the number of illegal tokens",
    },
)
def bigram_violations() -> rasp.SOp:
    return count_all(_illegal(), bool, "bigram_violations")


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    causal=True,
    balanced=True,
    description="Whether every token so far may follow the one before it: 'a' is followed by 'a' or 'b', 'b' by 'b' or "
    "'c', 'c' by 'a'.",
    roles={
        **_ILLEGAL,
        "illegal_at": "the index where a token is illegal, else a place behind all positions",
        "violations_share": "attends to illegal tokens so far and BOS: the attention left on BOS is 1 / (1 + number)",
        "violations": "the number of illegal tokens up to here",
        "legal_so_far": "whether there is none",
    },
)
def legal_so_far() -> rasp.SOp:
    illegal_at = places(lambda illegal, index: illegal, _illegal(), "illegal_at")
    return rasp.Map(lambda n: n == 0, count_up_to_here(illegal_at, "violations")).named("legal_so_far")


@register(
    vocab=(0, 1),
    max_len=_MAX_LEN,
    causal=True,
    description="The majority of the last three bits, this one included.",
    roles={
        "previous": _PREVIOUS,
        "before_previous": _BEFORE_PREVIOUS,
        "ones_before": "the sum of these two",
        "majority_of_three": "whether it is at least 2 with the bit at this position",
    },
)
def majority_of_three() -> rasp.SOp:
    ones = rasp.SequenceMap(lambda x, y: x + y, before(2, "before_previous"), before(1, "previous"))
    majority = rasp.SequenceMap(lambda ones, bit: int(ones + bit >= 2), ones.named("ones_before"), rasp.tokens)
    return majority.named("majority_of_three")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    causal=True,
    description="The largest of the last three tokens, this one included.",
    roles={
        "previous": _PREVIOUS,
        "before_previous": _BEFORE_PREVIOUS,
        "largest_before": "the larger of these two",
        "max_of_three": "the larger of that and the token",
    },
)
def max_of_three() -> rasp.SOp:
    largest = rasp.SequenceMap(max, before(2, "before_previous"), before(1, "previous")).named("largest_before")
    return rasp.SequenceMap(max, largest, rasp.tokens).named("max_of_three")


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    causal=True,
    description="The sequence with 'a' and 'b' exchanged wherever the two tokens before are equal.",
    roles={
        "previous": _PREVIOUS,
        "before_previous": _BEFORE_PREVIOUS,
        "after_pair": "whether these two are equal: the rule's context",
        "rewrite_after_pair": "the token, 'a' and 'b' exchanged in that context",
    },
)
def rewrite_after_pair() -> rasp.SOp:
    pair = rasp.SequenceMap(lambda x, y: x == y, before(2, "before_previous"), before(1, "previous")).named(
        "after_pair"
    )
    swapped = {"a": "b", "b": "a", "c": "c"}
    rewritten = rasp.SequenceMap(lambda after, token: swapped[token] if after else token, pair, rasp.tokens)
    return rewritten.named("rewrite_after_pair")


@register(
    vocab="ab",
    max_len=_MAX_LEN,
    description="The sequence with capital letters wherever both neighbours are 'a' (a context-sensitive rule).",
    roles={
        "a_at": "the index where there is an 'a', else a place behind all positions",
        "a_before_share": "attends to the position before, if it holds 'a', and BOS: 1/2 or 1 is left on BOS",
        "a_before": "whether the token before is 'a', as 0 or 1",
        "a_behind_share": "attends to the position behind, if it holds 'a', and BOS: 1/2 or 1 is left on BOS",
        "a_behind": "whether the token behind is 'a', as 0 or 1",
        "between": "whether both are: the rule's context",
        "rewrite_between": "the token, a capital letter in that context",
    },
)
def rewrite_between() -> rasp.SOp:
    a_at = places(lambda token, index: token == "a", rasp.tokens, "a_at")
    left = count(a_at, rasp.indices, lambda key, query: key == query - 1, "a_before")
    right = count(a_at, rasp.indices, lambda key, query: key == query + 1, "a_behind")
    between = rasp.SequenceMap(lambda x, y: bool(x and y), left, right).named("between")
    rewritten = rasp.SequenceMap(lambda here, token: token.upper() if here else token, between, rasp.tokens)
    return rewritten.named("rewrite_between")


@register(
    vocab="ab",
    max_len=_MAX_LEN,
    balanced=True,
    description="How often the pattern 'aba' occurs, overlaps included, at every position.",
    roles={
        "previous": _PREVIOUS,
        "before_previous": _BEFORE_PREVIOUS,
        "ab_before": "whether the two tokens before are 'a', 'b'",
        "match": "whether they are followed by 'a' here",
        "pattern_count_share": "attends to matches and BOS: the attention left on BOS is 1 / (1 + their number)",
        "pattern_count": "the number of matches",
    },
)
def pattern_count() -> rasp.SOp:
    pair = rasp.SequenceMap(lambda x, y: x + y == "ab", before(2, "before_previous"), before(1, "previous"))
    match = rasp.SequenceMap(lambda ab, token: ab and token == "a", pair.named("ab_before"), rasp.tokens)
    return count_all(match.named("match"), bool, "pattern_count")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    balanced=True,
    description="How many peaks there are, tokens larger than both neighbours, at every position.",
    roles={
        "previous": _PREVIOUS,
        "before_previous": _BEFORE_PREVIOUS,
        "risen_to": "the token before, if it is larger than the one before it, else 0",
        "peak": "whether that is larger than the token here: the token before is a peak",
        "peaks_share": "attends to positions behind peaks and BOS: the attention left on BOS is 1 / (1 + their number)",
        "peaks": "the number of peaks",
    },
)
def peaks() -> rasp.SOp:
    risen = rasp.SequenceMap(lambda x, y: y if y > x else 0, before(2, "before_previous"), before(1, "previous"))
    peak = rasp.SequenceMap(lambda risen, token: risen > token, risen.named("risen_to"), rasp.tokens).named("peak")
    return count_all(peak, bool, "peaks")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    balanced=True,
    description="How many tokens are larger than the one before them, at every position.",
    roles={
        "previous": _PREVIOUS,
        "rises": "whether this token is larger",
        "ascents_share": "attends to rises and BOS: the attention left on BOS is 1 / (1 + their number)",
        "ascents": "the number of rises",
    },
)
def ascents() -> rasp.SOp:
    rises = rasp.SequenceMap(lambda x, y: y > x, before(1, "previous"), rasp.tokens).named("rises")
    return count_all(rises, bool, "ascents")


@register(
    vocab=(0, 1, 2),
    max_len=_MAX_LEN,
    causal=True,
    description="The number of rises minus the number of falls up to and including this position, divided by the "
    "number of tokens.",
    roles={
        "previous": _PREVIOUS,
        "step": "whether this token is larger (1), smaller (-1), or equal (0)",
        "is_rise": "1 where the step is up, else 0",
        "is_fall": "1 where the step is down, else 0",
        "frac_rises": "averages is_rise over the prefix",
        "frac_falls": "averages is_fall over the prefix",
        "net_rise_fraction": "the fraction of rises minus that of falls",
    },
)
def net_rise_fraction() -> rasp.SOp:
    step = rasp.SequenceMap(lambda x, y: (y > x) - (y < x), before(1, "previous"), rasp.tokens).named("step")
    rises, falls = flag(step, 1, "is_rise"), flag(step, -1, "is_fall")
    frac_rises = rasp.numerical(rasp.Aggregate(prefix(), rises, default=0)).named("frac_rises")
    frac_falls = rasp.numerical(rasp.Aggregate(prefix(), falls, default=0)).named("frac_falls")
    return rasp.numerical(rasp.LinearSequenceMap(frac_rises, frac_falls, 1, -1)).named("net_rise_fraction")
