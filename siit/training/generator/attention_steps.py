"""Adds attention steps: values fetched from one position, positions counted, shares of positions told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracr.rasp import rasp

from siit.training.generator.draft import Draft, Value
from siit.training.generator.pointwise_steps import capped, modulo
from siit.training.rasp.from_rasp import SHARE_SUFFIX

Predicate = Callable[[Any, Any], Any]
OFTEN = 2 / 5
"""A share above this is large.

Tracr reads a mean as the nearest of 0, 1, 1/2, 1/3, ... Of shares of up to 11 positions,
those of at most 2/5 are nearest to 1/3 or less, and all above to 1/2 or more."""


def fetched(draft: Draft, source: Value, pointer: Value | None) -> Value:
    """Fetches what stands at one other position: at a fixed distance, at the first one, or where a number points to.

    Args:
        draft: the program so far.
        source: what is fetched.
        pointer: where it can name a position of every input, half of the time it does. It names it itself if it is
            always small enough, else by a remainder or a bound.
    """
    pointed = None if pointer is None else _place(draft, pointer)
    if pointed is not None and draft.draw.random() < 0.5:
        select = rasp.Select(rasp.indices, pointed.sop, rasp.Comparison.EQ)
        what = f"fetches {source.words} from the position that {pointed.words} names"
        return draft.add(rasp.Aggregate(select, source.sop), source.values, "pointed", what)
    return draft.draw.choice((_before(1), _before(2), _first))(draft, source)


def _before(distance: int) -> Callable[[Draft, Value], Value]:
    def fetch(draft: Draft, source: Value) -> Value:
        select = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == max(query - distance, 0))
        name, where = ("previous", "one position") if distance == 1 else ("before_previous", "two positions")
        role = f"fetches {source.words} from {where} before, at the start from the first position"
        return draft.add(rasp.Aggregate(select, source.sop), source.values, name, role)

    return fetch


def _first(draft: Draft, source: Value) -> Value:
    select = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == 0)
    return draft.add(
        rasp.Aggregate(select, source.sop), source.values, "first", f"fetches {source.words} from the first position"
    )


def _place(draft: Draft, pointer: Value) -> Value | None:
    """A number below the smallest length."""
    if not pointer.is_number:
        return None
    if max(pointer.values) < draft.min_len:
        return pointer
    if isinstance(pointer.sop, rasp.Map):
        return None
    found = draft.draw.choice((modulo, capped))(draft, pointer)
    return found if found is not None and max(found.values) < draft.min_len else None


def counted(draft: Draft, x: Value, y: Value) -> Value | None:
    """Counts the positions at which x is what this one asks for: compared with its own y, or one value or flag of x."""
    kinds: list[tuple[str, Value, Predicate, str]] = []
    if x.is_flag:
        kinds.append(("flagged", x, lambda key, query: key, f"{x.words} holds"))
    if len(x.values) >= 3:
        chosen = draft.draw.choice(x.values)
        kinds.append((f"of_{chosen}", x, lambda key, query: key == chosen, f"{x.words} is {chosen!r}"))
    if x.like(y) and not x.is_flag:
        here = f"{y.words} here"
        less, more = ("is smaller than", "is larger than") if x.is_number else ("comes before", "comes after")
        kinds.append(("below", y, lambda key, query: key < query, f"{x.words} {less} {here}"))
        kinds.append(("above", y, lambda key, query: key > query, f"{x.words} {more} {here}"))
        if len(set(x.values) & set(y.values)) >= 2:
            kinds.append(("same", y, lambda key, query: key == query, f"{x.words} is equal to {here}"))
    if x.sop is y.sop and 3 <= len(x.values) <= 6:
        after = dict(zip(x.values, (*x.values[1:], x.values[0]), strict=True))
        words = f"{x.words} is the value after {y.words} here, cyclically"
        kinds.append(("next", y, lambda key, query: key == after[query], words))
    if not kinds:
        return None
    name, query, predicate, words = draft.draw.choice(kinds)
    found = draft.add(
        rasp.SelectorWidth(rasp.Select(x.sop, query.sop, predicate)),
        range(draft.max_len + 1),
        f"count_{name}",
        f"the number of positions where {words}",
    )
    draft.roles[found.words + SHARE_SUFFIX] = (
        f"attends to the positions where {words} and to BOS: the attention left on BOS is 1 / (1 + their number)"
    )
    return found


def shared(draft: Draft, x: Value, y: Value) -> Value | None:
    """Classifies how often x is one of a few values: so far, anywhere, or where y is what it is here."""
    if isinstance(x.sop, rasp.Map) or len(x.values) < 3:
        return None
    chosen, listed = draft.few_of(x)
    name = draft.name(f"marks_{''.join(map(str, chosen))}", f"1 where {x.words} is {listed}, else 0")
    marks = rasp.numerical(rasp.Map(lambda value: 1 if value in chosen else 0, x.sop)).named(name)
    where, select = _many(draft, y)
    fraction = draft.name("fraction", f"averages {name} over {where}")
    mean = rasp.numerical(rasp.Aggregate(select, marks, default=0)).named(fraction)
    decode, values, wanted, role = draft.draw.choice(_DECODINGS)
    return draft.add(rasp.Map(decode, mean), values, wanted, role.format(fraction))


def _many(draft: Draft, y: Value) -> tuple[str, rasp.Select]:
    """A selection that is never empty, in words."""
    kind = draft.draw.choice(("so far", "anywhere", "same"))
    if kind == "so far":
        return "the positions up to this one", rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)
    if kind == "anywhere":
        return "all positions", rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)
    return f"the positions where {y.words} is as here", rasp.Select(y.sop, y.sop, rasp.Comparison.EQ)


_DECODINGS: tuple[tuple[Callable[[float], Any], tuple[Any, ...], str, str], ...] = (
    (lambda share: share > 0, (False, True), "any", "whether {} is above 0"),
    (lambda share: share > OFTEN, (False, True), "often", "whether {} is above two fifths"),
    (
        lambda share: 0 if share == 0 else 1 if share <= OFTEN else 2,
        (0, 1, 2),
        "amount",
        "0 where {} is 0, 1 up to two fifths, 2 above",
    ),
)
