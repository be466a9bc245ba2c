"""Programs about brackets."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import count_true, flag, prefix

_PARTNER = {"(": ")", ")": "(", "{": "}", "}": "{"}


@register(
    vocab="()abc",
    max_len=9,
    causal=True,
    interpbench_id="4",
    description="The number of '(' minus the number of ')' up to and including this position, divided by their number.",
    roles={
        "is_open": "1 where the token is '(', else 0",
        "is_close": "1 where the token is ')', else 0",
        "frac_open": "averages is_open over the prefix",
        "frac_close": "averages is_close over the prefix",
        "open_minus_close_fraction": "the fraction of '(' minus that of ')'",
    },
)
def open_minus_close_fraction() -> rasp.SOp:
    is_open, is_close = flag(rasp.tokens, "(", "is_open"), flag(rasp.tokens, ")", "is_close")
    frac_open = rasp.numerical(rasp.Aggregate(prefix(), is_open, default=0)).named("frac_open")
    frac_close = rasp.numerical(rasp.Aggregate(prefix(), is_close, default=0)).named("frac_close")
    difference = rasp.numerical(rasp.LinearSequenceMap(frac_open, frac_close, 1, -1))
    return difference.named("open_minus_close_fraction")


@register(
    vocab=("(", ")", "x", "{", "}"),
    max_len=9,
    interpbench_id="5",
    balanced=True,
    description="Whether round and curly brackets, each kind by itself, are balanced, at every position: no prefix has "
    "more closing than opening ones, and the whole sequence has as many; '({)}' is balanced.",
    roles={
        "bracket": "the token with its index",
        "partners_share": "attends to the brackets that can match this one, and BOS, which keeps 1 / (1 + partners)",
        "partners": "how many brackets of the other sign there are on that side",
        "rivals_share": "attends to the brackets that need the same partners, and BOS, which keeps 1 / (1 + rivals)",
        "rivals": "how many brackets of the same sign there are on that side, this one included",
        "unmatched": "whether the rivals outnumber the partners",
        "faults_share": "attends to unmatched brackets and BOS: the attention left on BOS is 1 / (1 + faults)",
        "faults": "the number of unmatched brackets",
        "brackets_balanced": "whether there are none",
    },
)
def brackets_balanced() -> rasp.SOp:
    # Where no prefix has more closing brackets and no suffix more opening ones, the whole sequence has as many of both.
    bracket = rasp.SequenceMap(lambda token, index: f"{token}{index}", rasp.tokens, rasp.indices).named("bracket")
    partners = rasp.SelectorWidth(rasp.Select(bracket, bracket, _partner)).named("partners")
    rivals = rasp.SelectorWidth(rasp.Select(bracket, bracket, _rival)).named("rivals")
    unmatched = rasp.SequenceMap(lambda x, y: x < y, partners, rivals).named("unmatched")
    faults = count_true(unmatched, "faults")
    return rasp.Map(lambda n: n == 0, faults).named("brackets_balanced")


def _partner(key: str | None, query: str) -> bool:
    """Whether the key is of the query's kind and of the other sign, on the side that the query looks at."""
    return key is not None and key[0] == _PARTNER.get(query[0]) and _looks_at(query, key)


def _rival(key: str | None, query: str) -> bool:
    """Whether the key is the same bracket as the query, on the side that the query looks at, or the query itself."""
    return key is not None and key[0] == query[0] and query[0] in _PARTNER and _looks_at(query, key)


def _looks_at(query: str, key: str) -> bool:
    here, there = int(query[1:]), int(key[1:])
    return there <= here if query[0] in ")}" else there >= here
