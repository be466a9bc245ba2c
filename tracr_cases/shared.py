"""What RASP programs of several families share: selections, what is fetched or counted with them, and their roles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracr.rasp import rasp

NOWHERE = 99
"""A place behind all positions: what looks for places up to some position never finds it."""

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
EARLIER_SAME_ROLES = {
    "place": "the token together with its position",
    "earlier_same_share": "attends to earlier equal tokens and BOS: the attention left on BOS is 1 / (1 + number)",
    "earlier_same": "how often the token occurred before",
}
LAST_PLACE_ROLES = {
    **EARLIER_SAME_ROLES,
    "occurrence": "the token together with its ordinal among equal tokens",
    "last_place": "fetches the index of the occurrence before this one; its own index at the first occurrence",
}


def select(keys: rasp.SOp, queries: rasp.SOp, predicate: Callable[[Any, Any], bool]) -> rasp.Select:
    """Selects keys for queries; never an undefined key, and padding has none, so that `tokens` need not be read too."""

    def selected(key: Any, query: Any) -> bool:
        if query is None:
            raise ValueError("the query is undefined")
        return key is not None and bool(predicate(key, query))

    return rasp.Select(keys, queries, selected)


def everything() -> rasp.Select:
    """Selects all tokens, wherever one stands."""
    return rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)


def prefix() -> rasp.Select:
    """Selects all positions up to one's own."""
    return rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)


def flag(sop: rasp.SOp, token: object, name: str) -> rasp.SOp:
    """1 where `sop` is `token`, else 0, as a number that attention can average."""
    return rasp.numerical(rasp.Map(lambda value: 1 if value == token else 0, sop)).named(name)


def quotient(number: int, length: int) -> float | None:
    """A number divided by the length; undefined for a length of 0, which Tracr asks about."""
    return number / length if length else None


def fetch(
    values: rasp.SOp, keys: rasp.SOp, queries: rasp.SOp, predicate: Callable[[Any, Any], bool], name: str
) -> rasp.SOp:
    """Fetches what the selected positions hold: one attention head.

    Args:
        values: what is fetched.
        keys, queries: what positions are selected by, and for.
        predicate: takes a key, which is never None, and a query; tells whether the key is selected.
        name: of the variable.

    Returns:
        For each position the value at the one that it selects; of several numbers their mean, and None where it selects
        none. Evaluating it raises ValueError where a query is None, or several values that are no numbers are selected.
    """
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


def token_from_end(length: rasp.SOp, distance: int, name: str) -> rasp.SOp:
    """The token `distance` positions before the end, 1 being the last, at every position."""
    return fetch(rasp.tokens, rasp.indices, length, lambda key, query: key == query - distance, name)


def before_or_none(distance: int, name: str) -> rasp.SOp:
    """The token `distance` positions before; undefined where there is none."""
    return fetch(rasp.tokens, rasp.indices, rasp.indices, lambda key, query: key == query - distance, name)


def before(distance: int, name: str) -> rasp.SOp:
    """The token `distance` positions before; the first token where there is none."""
    return fetch(rasp.tokens, rasp.indices, rasp.indices, lambda key, query: key == max(query - distance, 0), name)


def after_or_none(distance: int, name: str) -> rasp.SOp:
    """The token `distance` positions after; undefined where there is none."""
    return fetch(rasp.tokens, rasp.indices, rasp.indices, lambda key, query: key == query + distance, name)


def largest_token() -> rasp.SOp:
    """The largest token, at every position."""
    greater = greater_tokens("greater")
    return fetch(rasp.tokens, greater, greater, lambda key, query: key == 0, "largest")


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


def count(keys: rasp.SOp, queries: rasp.SOp, predicate: Callable[[Any, Any], bool], name: str) -> rasp.SOp:
    """Counts the keys that a position selects: one attention head, and an MLP that reads its attention on BOS.

    Args:
        keys, queries: what positions are selected by, and for.
        predicate: takes a key, which is never None, and a query; tells whether the key is selected.
        name: of the variable.

    Returns:
        For each position an integer, 0 or more. Evaluating it raises ValueError where a query is None.
    """
    return rasp.SelectorWidth(select(keys, queries, predicate)).named(name)


def count_all(keys: rasp.SOp, wanted: Callable[[Any], bool], name: str) -> rasp.SOp:
    """How many keys of the sequence are wanted, the same at every position."""
    return count(keys, rasp.tokens, lambda key, query: wanted(key), name)


def count_true(sop: rasp.SOp, name: str) -> rasp.SOp:
    """At how many positions a boolean is true; it is its own query, so that `tokens` are not read."""
    return count(sop, sop, lambda key, query: key, name)


def none_true(sop: rasp.SOp, count_name: str) -> rasp.SOp:
    """1 if a boolean is true nowhere, else 0; `count_name` names the number of positions where it is true."""
    return rasp.Map(lambda n: 1 if n == 0 else 0, count_true(sop, count_name))


def length() -> rasp.SOp:
    """The number of tokens."""
    return rasp.SelectorWidth(everything()).named("length")


def same_tokens(name: str) -> rasp.SOp:
    """How many tokens are equal to this one, itself included."""
    return rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)).named(name)


def greater_tokens(name: str) -> rasp.SOp:
    """How many tokens are greater than this one."""
    return count(rasp.tokens, rasp.tokens, lambda key, query: key > query, name)


def smaller_tokens(name: str) -> rasp.SOp:
    """How many tokens are smaller than this one."""
    return count(rasp.tokens, rasp.tokens, lambda key, query: key < query, name)


def earlier_same(vocab: Sequence[Any], max_len: int) -> rasp.SOp:
    """How many equal tokens are before this position."""
    place = rasp.SequenceMap(
        lambda token, index: vocab.index(token) * max_len + index, rasp.tokens, rasp.indices
    ).named("place")
    return count(place, place, lambda key, query: key // max_len == query // max_len and key < query, "earlier_same")


def places(marked: Callable[[Any, int], bool], sop: rasp.SOp, name: str) -> rasp.SOp:
    """The index where value and index are marked, elsewhere NOWHERE."""
    return rasp.SequenceMap(lambda x, index: index if marked(x, index) else NOWHERE, sop, rasp.indices).named(name)


def count_up_to_here(marks: rasp.SOp, name: str) -> rasp.SOp:
    """How many places are at this position or before it."""
    return count(marks, rasp.indices, lambda key, query: key <= query, name)


def count_before_here(marks: rasp.SOp, name: str) -> rasp.SOp:
    """How many places are before this position."""
    return count(marks, rasp.indices, lambda key, query: key < query, name)
