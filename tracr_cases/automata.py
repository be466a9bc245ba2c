"""Programs that automata compute: brackets, runs, switches and counters."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import NOWHERE, before, count, count_up_to_here, fetch_where_none, flag, places, select

_MAX_LEN = 8
_OPENS = {
    "open_at": "the index where there is a '(', else a place behind all positions",
    "opens_share": "attends to '(' up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
    "opens": "the number of '(' up to here",
}
_DEPTH = {
    **_OPENS,
    "close_at": "the index where there is a ')', else a place behind all positions",
    "closes_share": "attends to ')' up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
    "closes": "the number of ')' up to here",
}


def _up_to_here(token: str, name: str) -> rasp.SOp:
    """How many of a token there are up to here; their places are called after the first part of the plural `name`."""
    return count_up_to_here(places(lambda found, index: found == token, rasp.tokens, f"{name[:-1]}_at"), name)


def _depth(name: str) -> rasp.SOp:
    opens, closes = _up_to_here("(", "opens"), _up_to_here(")", "closes")
    return rasp.SequenceMap(lambda opens, closes: opens - closes, opens, closes).named(name)


@register(
    vocab="(x)",
    max_len=_MAX_LEN,
    causal=True,
    description="The nesting depth: the number of '(' minus the number of ')' up to and including this position.",
    roles={
        **_DEPTH,
        "bracket_depth": "the number of '(' minus that of ')'",
    },
)
def bracket_depth() -> rasp.SOp:
    return _depth("bracket_depth")


@register(
    vocab="(x)",
    max_len=_MAX_LEN,
    description="The largest nesting depth of the sequence, at every position.",
    roles={
        **_DEPTH,
        "depth": "the number of '(' minus that of ')'",
        "deeper_share": "attends to deeper positions and BOS: the attention left on BOS is 1 / (1 + their number)",
        "deeper": "the number of deeper positions, 0 where the depth is largest",
        "largest_depth": "fetches the depth that no other exceeds",
    },
)
def largest_depth() -> rasp.SOp:
    depth = _depth("depth")
    deeper = count(depth, depth, lambda key, query: key > query, "deeper")
    return fetch_where_none(depth, deeper, "largest_depth")


@register(
    vocab="()",
    max_len=_MAX_LEN,
    causal=True,
    balanced=True,
    description="The nesting depth up to and including this position; -1 from the first ')' on that closes nothing.",
    roles={
        **_OPENS,
        "depth": "the number of '(' minus that of ')', which is the rest of the tokens up to here",
        "below_at": "the index where that is negative, else a place behind all positions",
        "failures_share": "attends to negative depths so far and BOS: the attention left on BOS is 1 / (1 + number)",
        "failures": "the number of positions of negative depth up to here",
        "balanced_depth": "the depth, or -1 where there are such positions",
    },
)
def balanced_depth() -> rasp.SOp:
    opens = _up_to_here("(", "opens")
    depth = rasp.SequenceMap(lambda n, index: 2 * min(n, index + 1) - index - 1, opens, rasp.indices).named("depth")
    failures = count_up_to_here(places(lambda n, index: 2 * n < index + 1, opens, "below_at"), "failures")
    checked = rasp.SequenceMap(lambda n, depth: -1 if n else max(depth, -1), failures, depth)
    return checked.named("balanced_depth")


@register(
    vocab="ab",
    max_len=_MAX_LEN,
    balanced=True,
    description="The length of the run of equal tokens that this position is in.",
    roles={
        "previous": "the token one position before (the first position looks at itself)",
        "changes": "whether it differs from this one",
        "change_at": "the index where a run starts behind another, else a place behind all positions",
        "run_share": "attends to changes up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "run": "the run's number, the number of changes up to here",
        "run_length_share": "attends to the own run and BOS: the attention left on BOS is 1 / (1 + length)",
        "run_length": "the run's length",
    },
)
def run_length() -> rasp.SOp:
    changes = rasp.SequenceMap(lambda x, y: x != y, before(1, "previous"), rasp.tokens).named("changes")
    run = count_up_to_here(places(lambda change, index: change, changes, "change_at"), "run")
    return count(run, run, lambda key, query: key == query, "run_length")


@register(
    vocab="x.",
    max_len=_MAX_LEN,
    balanced=True,
    description="The length of the longest run of 'x', at every position.",
    roles={
        "stop_at": "the index where there is a '.', else a place behind all positions",
        "stops_share": "attends to '.' up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "stops": "the number of '.' up to here, the same throughout a run of 'x'",
        "run": "that number at an 'x'; at a '.' none",
        "run_length_share": "attends to the 'x' of the same run and BOS: the attention left on BOS is 1 / (1 + length)",
        "run_length": "the length of the run between these stops",
        "longer_share": "attends to positions in longer runs and BOS: the attention left on BOS is 1 / (1 + number)",
        "longer": "the number of positions in longer runs, 0 in the longest",
        "longest_run": "fetches the length that no other exceeds",
    },
)
def longest_run() -> rasp.SOp:
    stops = _up_to_here(".", "stops")
    run = rasp.SequenceMap(lambda stops, token: stops if token == "x" else NOWHERE, stops, rasp.tokens).named("run")
    run_length = count(run, stops, lambda key, query: key == query, "run_length")
    longer = count(run_length, run_length, lambda key, query: key > query, "longer")
    return fetch_where_none(run_length, longer, "longest_run")


@register(
    vocab="+-.",
    max_len=_MAX_LEN,
    causal=True,
    description="A switch: whether the last '+' or '-' up to and including this position is a '+'; off at the start.",
    roles={
        "command_at": "the index where there is a '+' or '-', else a place behind all positions",
        "commands_share": "attends to commands up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "commands": "the number of commands up to here, the same as at the last one",
        "is_on": "1 where the token is '+', else 0",
        "on_share": "averages is_on over the last command and the '.' behind it, which have its number of commands",
        "switch_state": "whether the last command is '+'",
    },
)
def switch_state() -> rasp.SOp:
    command_at = places(lambda token, index: token != ".", rasp.tokens, "command_at")
    commands = count_up_to_here(command_at, "commands")
    same = select(commands, commands, lambda key, query: key == query)
    on_share = rasp.numerical(rasp.Aggregate(same, flag(rasp.tokens, "+", "is_on"), default=0)).named("on_share")
    return rasp.Map(lambda share: share > 0, on_share).named("switch_state")


@register(
    vocab="ax",
    max_len=_MAX_LEN,
    causal=True,
    sampler="uniform_counts",
    description="Whether the number of 'x' up to and including this position is odd.",
    roles={
        "x_at": "the index where there is an 'x', else a place behind all positions",
        "xs_share": "attends to 'x' up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "xs": "the number of 'x' up to here",
        "parity_of_count": "whether the number is odd",
    },
)
def parity_of_count() -> rasp.SOp:
    return rasp.Map(lambda n: n % 2 == 1, _up_to_here("x", "xs")).named("parity_of_count")


@register(
    vocab="+r.",
    max_len=_MAX_LEN,
    causal=True,
    description="A counter: how many '+' there were since the last 'r', which resets it, up to and including here.",
    roles={
        "reset_at": "the index where there is an 'r', else a place behind all positions",
        "resets_share": "attends to 'r' up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "resets": "the number of 'r' up to here, the same since the last one",
        "plus_at": "the index where there is a '+', else a place behind all positions",
        "place": "the index together with the number of resets",
        "plus_place": "the index of a '+' together with the number of resets",
        "counter_with_reset_share": "attends to '+' so far after the same resets and BOS: the attention left on BOS is "
        "1 / (1 + their number)",
        "counter_with_reset": "the number of '+' since the last reset",
    },
)
def counter_with_reset() -> rasp.SOp:
    base = NOWHERE + 1

    def counted(key: int, query: int) -> bool:
        return key // base == query // base and key % base <= query % base

    resets = _up_to_here("r", "resets")
    plus_at = places(lambda token, index: token == "+", rasp.tokens, "plus_at")
    place = rasp.SequenceMap(lambda n, index: n * base + index, resets, rasp.indices).named("place")
    plus_place = rasp.SequenceMap(lambda n, index: n * base + index, resets, plus_at).named("plus_place")
    return count(plus_place, place, counted, "counter_with_reset")
