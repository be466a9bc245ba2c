"""Programs about brackets."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.selectors import flag, prefix


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
        "open_minus_close_fraction": "subtracts the fraction of ')' from that of '('",
    },
)
def open_minus_close_fraction() -> rasp.SOp:
    is_open, is_close = flag(rasp.tokens, "(", "is_open"), flag(rasp.tokens, ")", "is_close")
    frac_open = rasp.numerical(rasp.Aggregate(prefix(), is_open, default=0)).named("frac_open")
    frac_close = rasp.numerical(rasp.Aggregate(prefix(), is_close, default=0)).named("frac_close")
    difference = rasp.numerical(rasp.LinearSequenceMap(frac_open, frac_close, 1, -1))
    return difference.named("open_minus_close_fraction")
