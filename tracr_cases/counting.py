"""Programs that count."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.selectors import flag, prefix


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
    description="How many times the token at this position occurs in the whole sequence, itself included.",
    roles={
        "histogram_share": "attends to equal tokens and BOS: the attention left on BOS is 1 / (1 + count)",
        "histogram": "decodes the count",
    },
)
def histogram() -> rasp.SOp:
    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    return rasp.SelectorWidth(same).named("histogram")
