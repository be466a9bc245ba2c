"""Selections, and what is fetched or counted with them, that programs of several families share."""

from __future__ import annotations

from tracr.rasp import rasp

LENGTH_ROLES = {
    "length_share": "attends to all tokens and BOS: the attention left on BOS is 1 / (1 + length)",
    "length": "the number of tokens",
}
SAME_ROLES = {
    "same_share": "attends to equal tokens and BOS: the attention left on BOS is 1 / (1 + same)",
    "same": "how many tokens are equal to this one, itself included",
}
LARGEST_ROLES = {
    "greater_share": "attends to greater tokens and BOS: the attention left on BOS is 1 / (1 + greater)",
    "greater": "how many tokens are greater than this one: none where it is the largest",
    "largest": "fetches a token that none is greater than",
}


def earlier(distance: int) -> rasp.Select:
    """Selects the position `distance` before; nothing at the first positions."""
    return rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - distance)


def later(distance: int) -> rasp.Select:
    """Selects the position `distance` after; nothing at the last positions."""
    return rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query + distance)


def at(index: int) -> rasp.Select:
    """Selects one position, wherever one stands."""
    return rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == index)


def from_end(length: rasp.SOp, distance: int) -> rasp.Select:
    """Selects the position `distance` before the end, 1 being the last, wherever one stands."""
    return rasp.Select(rasp.indices, length, lambda key, query: key == query - distance)


def prefix() -> rasp.Select:
    """Selects all positions up to one's own."""
    return rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)


def everything() -> rasp.Select:
    """Selects all tokens, wherever one stands."""
    return rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)


def length() -> rasp.SOp:
    """The number of tokens."""
    return rasp.SelectorWidth(everything()).named("length")


def quotient(number: int, length: int) -> float | None:
    """A number divided by the length; undefined for a length of 0, which Tracr asks about."""
    return number / length if length else None


def same_tokens() -> rasp.SelectorWidth:
    """How many tokens are equal to this one, itself included."""
    return rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ))


def greater_tokens() -> rasp.SelectorWidth:
    """How many tokens are greater than this one."""
    return rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.GT))


def smaller_tokens() -> rasp.SelectorWidth:
    """How many tokens are smaller than this one."""
    return rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.LT))


def largest_token() -> rasp.SOp:
    """The largest token, at every position."""
    greater = greater_tokens().named("greater")
    none_greater = rasp.Select(greater, greater, lambda key, query: key == 0)
    return rasp.Aggregate(none_greater, rasp.tokens).named("largest")


def previous_token() -> rasp.SOp:
    """The token one position before; undefined at the first."""
    return rasp.Aggregate(earlier(1), rasp.tokens).named("previous")


def previous_or_own_token() -> rasp.SOp:
    """The token one position before; the first position's is its own."""
    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == max(query - 1, 0))
    return rasp.Aggregate(before, rasp.tokens).named("previous")


def next_token() -> rasp.SOp:
    """The token one position after; undefined at the last."""
    return rasp.Aggregate(later(1), rasp.tokens).named("next")


def count_true(sop: rasp.SOp) -> rasp.SelectorWidth:
    """At how many positions a boolean is true."""
    return rasp.SelectorWidth(rasp.Select(sop, sop, lambda key, query: key))


def none_true(sop: rasp.SOp, count: str) -> rasp.SOp:
    """1 if a boolean is true nowhere, else 0; `count` names the number of positions where it is true."""
    return rasp.Map(lambda n: 1 if n == 0 else 0, count_true(sop).named(count))


def flag(sop: rasp.SOp, token: object, name: str) -> rasp.SOp:
    """1 where `sop` is `token`, else 0, as a number that attention can average."""
    return rasp.numerical(rasp.Map(lambda value: 1 if value == token else 0, sop)).named(name)
