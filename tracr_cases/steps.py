"""Steps of computation that programs of several families share, with their roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracr.rasp import rasp

NOWHERE = 99
"""A place behind all positions: what looks for places up to some position never finds it."""


def select(keys: rasp.SOp, queries: rasp.SOp, predicate: Callable[[Any, Any], bool]) -> rasp.Select:
    """Selects keys for queries; never an undefined key, and padding has none, so that `tokens` need not be read too."""

    def selected(key: Any, query: Any) -> bool:
        if query is None:
            raise ValueError("the query is undefined")
        return key is not None and bool(predicate(key, query))

    return rasp.Select(keys, queries, selected)


def count(keys: rasp.SOp, queries: rasp.SOp, predicate: Callable[[Any, Any], bool], name: str) -> rasp.SOp:
    """How many keys a position selects."""
    return rasp.SelectorWidth(select(keys, queries, predicate)).named(name)


def count_all(keys: rasp.SOp, wanted: Callable[[Any], bool], name: str) -> rasp.SOp:
    """How many keys of the sequence are wanted, the same at every position."""
    return count(keys, rasp.tokens, lambda key, query: wanted(key), name)


def fetch(
    values: rasp.SOp, keys: rasp.SOp, queries: rasp.SOp, predicate: Callable[[Any, Any], bool], name: str
) -> rasp.SOp:
    """What the selected positions hold."""
    return rasp.Aggregate(select(keys, queries, predicate), values).named(name)


def fetch_at(values: rasp.SOp, source: rasp.SOp, name: str) -> rasp.SOp:
    """What the position with the index `source` holds."""
    return fetch(values, rasp.indices, source, lambda key, query: key == query, name)


def fetch_where_none(values: rasp.SOp, counts: rasp.SOp, name: str) -> rasp.SOp:
    """What the positions hold at which `counts` is 0: equal numbers, which RASP averages (to a float)."""
    return fetch(values, counts, rasp.tokens, lambda key, query: key == 0, name)


def token_at(index: int, name: str) -> rasp.SOp:
    """The token at that index, at every position."""
    return fetch(rasp.tokens, rasp.indices, rasp.indices, lambda key, query: key == index, name)


def before(distance: int, name: str) -> rasp.SOp:
    """The token `distance` positions before; the first token where there is none."""
    return fetch(rasp.tokens, rasp.indices, rasp.indices, lambda key, query: key == max(query - distance, 0), name)


def places(marked: Callable[[Any, int], bool], sop: rasp.SOp, name: str) -> rasp.SOp:
    """The index where value and index are marked, elsewhere NOWHERE."""
    return rasp.SequenceMap(lambda x, index: index if marked(x, index) else NOWHERE, sop, rasp.indices).named(name)


def count_up_to_here(marks: rasp.SOp, name: str) -> rasp.SOp:
    """How many places are at this position or before it."""
    return count(marks, rasp.indices, lambda key, query: key <= query, name)


def count_before_here(marks: rasp.SOp, name: str) -> rasp.SOp:
    """How many places are before this position."""
    return count(marks, rasp.indices, lambda key, query: key < query, name)


EARLIER_SAME = {
    "place": "the token together with its position",
    "earlier_same_share": "attends to earlier equal tokens and BOS: the attention left on BOS is 1 / (1 + number)",
    "earlier_same": "how often the token occurred before",
}
"""The roles of the variables of `earlier_same`."""


def earlier_same(vocab: Sequence[Any], max_len: int) -> rasp.SOp:
    """How many equal tokens are before this position."""
    place = rasp.SequenceMap(
        lambda token, index: vocab.index(token) * max_len + index, rasp.tokens, rasp.indices
    ).named("place")
    return count(place, place, lambda key, query: key // max_len == query // max_len and key < query, "earlier_same")


LAST_PLACE = {
    **EARLIER_SAME,
    "occurrence": "the token together with its ordinal among equal tokens",
    "last_place": "fetches the index of the occurrence before this one; its own index at the first occurrence",
}
"""The roles of the variables of `last_place`."""


def last_place(vocab: Sequence[Any], max_len: int) -> rasp.SOp:
    """The index of the last equal token before this position; its own index where there is none."""
    base = max_len + 1
    occurrence = rasp.SequenceMap(
        lambda token, earlier: vocab.index(token) * base + earlier, rasp.tokens, earlier_same(vocab, max_len)
    ).named("occurrence")
    return fetch(
        rasp.indices,
        occurrence,
        occurrence,
        lambda key, query: key // base == query // base and key % base == max(query % base - 1, 0),
        "last_place",
    )
