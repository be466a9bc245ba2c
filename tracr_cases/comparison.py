"""Programs that compare tokens."""

from __future__ import annotations

from collections.abc import Callable

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import (
    LARGEST_ROLES,
    LENGTH_ROLES,
    SAME_ROLES,
    after_or_none,
    before,
    before_or_none,
    everything,
    largest_token,
    length,
    none_true,
    same_tokens,
    token_at,
    token_from_end,
)

_NUMBERS = tuple(range(11))
_WORDS = ("MbJmTPSI", "SBvrj", "UDIh", "Wvgfy", "bVrp", "fJsONxK", "fLBcbfno", "iVgRV", "oCLrZaW", "wwMq")


def _step(wrong: Callable[[int, int], bool], name: str) -> rasp.SOp:
    """Whether the step from the token before to this one is `wrong`; the first token has a step from itself."""
    return rasp.SequenceMap(wrong, before(1, "previous"), rasp.tokens).named(name)


@register(
    vocab=(0, 1, 2),
    max_len=9,
    interpbench_id="13",
    description="Whether the next token is greater ('increasing'), smaller ('decreasing') or equal ('constant'); "
    "undefined at the last position.",
    roles={
        "next": "the token one position after",
        "trend_to_next": "how the next token compares with the token here",
    },
)
def trend_to_next() -> rasp.SOp:
    def name(token: int, following: int) -> str:
        return "increasing" if following > token else "decreasing" if following < token else "constant"

    return rasp.SequenceMap(name, rasp.tokens, after_or_none(1, "next")).named("trend_to_next")


@register(
    vocab=_WORDS,
    max_len=9,
    causal=True,
    interpbench_id="32",
    balanced=True,
    description="Whether the token, a word, differs from the one before; undefined at the first position.",
    roles={
        "previous": "the token one position before",
        "token_changed": "whether it differs from the token here",
    },
)
def token_changed() -> rasp.SOp:
    return rasp.SequenceMap(lambda x, y: x != y, before_or_none(1, "previous"), rasp.tokens).named("token_changed")


@register(
    vocab=_NUMBERS,
    max_len=10,
    interpbench_id="89",
    balanced=True,
    sampler="often_sorted",
    description="1 if no token is smaller than the one before (equal ones may follow each other), else 0, at every "
    "position.",
    roles={
        "previous": "the token one position before (the first position looks at itself)",
        "drop": "whether this token is smaller than the one before",
        "drops_share": "attends to drops and BOS: the attention left on BOS is 1 / (1 + drops)",
        "drops": "the number of drops",
        "is_nondecreasing": "1 if there is none, else 0",
    },
)
def is_nondecreasing() -> rasp.SOp:
    return none_true(_step(lambda before, token: before > token, "drop"), "drops").named("is_nondecreasing")


@register(
    vocab=_NUMBERS,
    max_len=9,
    causal=True,
    interpbench_id="92",
    description="The token, or 0 where it is smaller than the one before.",
    roles={
        "previous": "the token one position before (the first position looks at itself)",
        "zero_if_drop": "the token unless it is smaller than the one before, else 0",
    },
)
def zero_if_drop() -> rasp.SOp:
    kept = rasp.SequenceMap(lambda x, y: 0 if y < x else y, before(1, "previous"), rasp.tokens)
    return kept.named("zero_if_drop")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="94",
    balanced=True,
    sampler="often_descending",
    description="1 if no token is greater than the one before (equal ones may follow each other), else 0, at every "
    "position.",
    roles={
        "previous": "the token one position before (the first position looks at itself)",
        "rise": "whether this token is greater than the one before",
        "rises_share": "attends to rises and BOS: the attention left on BOS is 1 / (1 + rises)",
        "rises": "the number of rises",
        "is_nonincreasing": "1 if there is none, else 0",
    },
)
def is_nonincreasing() -> rasp.SOp:
    return none_true(_step(lambda before, token: before < token, "rise"), "rises").named("is_nonincreasing")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="98",
    description="The largest token of the sequence, at every position.",
    roles={
        "greater_share": LARGEST_ROLES["greater_share"],
        "greater": LARGEST_ROLES["greater"],
        "max_everywhere": LARGEST_ROLES["largest"],
    },
)
def max_everywhere() -> rasp.SOp:
    return largest_token().named("max_everywhere")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="108",
    balanced=True,
    description="1 if some token occurs more than once, else 0, at every position.",
    roles={
        **SAME_ROLES,
        "repeated_share": "attends to tokens that have an equal one, and BOS, which keeps 1 / (1 + repeated)",
        "repeated": "the number of tokens that have an equal one",
        "has_duplicate": "1 if there are any, else 0",
    },
)
def has_duplicate() -> rasp.SOp:
    same = same_tokens("same")
    repeated = rasp.SelectorWidth(rasp.Select(same, same, lambda key, query: key is not None and key > 1))
    return rasp.Map(lambda n: 1 if n else 0, repeated.named("repeated")).named("has_duplicate")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="109",
    balanced=True,
    description="1 if the last two tokens are equal, else 0, at every position.",
    roles={
        **LENGTH_ROLES,
        "last": "fetches the last token",
        "before_last": "fetches the last but one",
        "last_two_equal": "whether the last two tokens are equal",
    },
)
def last_two_equal() -> rasp.SOp:
    size = length()
    last = token_from_end(size, 1, "last")
    before_last = token_from_end(size, 2, "before_last")
    return rasp.SequenceMap(lambda x, y: 1 if x == y else 0, before_last, last).named("last_two_equal")


@register(
    vocab=_NUMBERS,
    max_len=10,
    interpbench_id="116",
    description="1 where the token is a multiple of the first one (0 is one of every other), else 0; 0 everywhere, at "
    "zeros too, if the first token is 0.",
    roles={
        "first": "fetches the first token",
        "multiple_of_first": "whether the first token divides the token here",
    },
)
def multiple_of_first() -> rasp.SOp:
    first = token_at(0, "first")
    multiple = rasp.SequenceMap(lambda x, token: 1 if x and token % x == 0 else 0, first, rasp.tokens)
    return multiple.named("multiple_of_first")


@register(
    vocab=_NUMBERS,
    max_len=9,
    interpbench_id="124",
    balanced=True,
    sampler="often_equal",
    description="1 if all tokens are equal, else 0, at every position.",
    roles={
        **LENGTH_ROLES,
        **SAME_ROLES,
        "all_equal": "1 if as many tokens are equal to this one as there are, else 0",
    },
)
def all_equal() -> rasp.SOp:
    equal = rasp.SequenceMap(lambda same, length: 1 if same == length else 0, same_tokens("same"), length())
    return equal.named("all_equal")


@register(
    vocab=tuple(range(30)),
    max_len=9,
    interpbench_id="129",
    balanced=True,
    description="1 if all tokens are even, else 0, at every position.",
    roles={
        "is_odd": "1 where the token is odd, else 0",
        "frac_odd": "averages is_odd over all tokens",
        "all_even": "1 if no token is odd, else 0",
    },
)
def all_even() -> rasp.SOp:
    is_odd = rasp.numerical(rasp.Map(lambda token: token % 2, rasp.tokens)).named("is_odd")
    frac_odd = rasp.numerical(rasp.Aggregate(everything(), is_odd, default=0)).named("frac_odd")
    return rasp.Map(lambda fraction: 1 if fraction == 0 else 0, frac_odd).named("all_even")


@register(
    vocab=_NUMBERS,
    max_len=9,
    causal=True,
    interpbench_id="131",
    description="The larger of the token and the one before; undefined at the first position (which InterpBench "
    "says is left as it is).",
    roles={
        "previous": "the token one position before",
        "max_with_previous": "the larger of it and the token here",
    },
)
def max_with_previous() -> rasp.SOp:
    return rasp.SequenceMap(max, before_or_none(1, "previous"), rasp.tokens).named("max_with_previous")
