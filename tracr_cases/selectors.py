"""Selections that programs of several families share."""

from __future__ import annotations

from tracr.rasp import rasp


def earlier(distance: int) -> rasp.Select:
    """Selects the position `distance` before; nothing at the first positions."""
    return rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - distance)


def prefix() -> rasp.Select:
    """Selects all positions up to one's own."""
    return rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)


def everything() -> rasp.Select:
    """Selects all tokens, wherever one stands."""
    return rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)


def length() -> rasp.SOp:
    """The number of tokens."""
    return rasp.SelectorWidth(everything()).named("length")


def flag(sop: rasp.SOp, token: object, name: str) -> rasp.SOp:
    """1 where `sop` is `token`, else 0, as a number that attention can average."""
    return rasp.numerical(rasp.Map(lambda value: 1 if value == token else 0, sop)).named(name)
