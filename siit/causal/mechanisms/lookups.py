"""Lookups: mechanisms of attention heads that compare what stands in two slots by identity, in closed form.

Vocabularies of words are too large for tables. All see the slots up to their own. That nothing is found (UNDEFINED) is
a value like others: a later lookup does not select it. What is AMBIGUOUS makes all that could read it ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit._text import shortened
from siit.causal.mechanisms import fields
from siit.causal.mechanisms.base import UNDEFINED, Attention, Context, Mechanism, Read, Values, spread

AMBIGUOUS = -2
"""Several different values were found, or an ambiguous one was read; undefined too, and never a value."""
_LARGE = torch.iinfo(torch.int64).max


def _is_member(keys: Int[Tensor, "batch pos"], members: Int[Tensor, " n"]) -> Bool[Tensor, "batch pos"]:
    place = torch.searchsorted(members, keys.contiguous()).clamp(max=len(members) - 1)
    return members[place] == keys


def _common(selected: Bool[Tensor, "batch query key"], values: Values) -> Values:
    """Gives what all selected slots hold: UNDEFINED if there are none, AMBIGUOUS if they differ."""
    low = torch.where(selected, values.unsqueeze(-2), _LARGE).amin(-1)
    high = torch.where(selected, values.unsqueeze(-2), AMBIGUOUS - 1).amax(-1)
    found = torch.where(low == high, high, AMBIGUOUS)
    return torch.where(selected.any(-1), found, UNDEFINED)


def _where_least(selected: Bool[Tensor, "batch query key"], order: Values) -> Bool[Tensor, "batch query key"]:
    """Keeps those of the selected slots that come first in an order."""
    ranked = torch.where(selected, order.unsqueeze(-2), _LARGE)
    return selected & (ranked == ranked.amin(-1, keepdim=True))


def _at_found(
    selected: Bool[Tensor, "batch query key"], found: Bool[Tensor, "batch pos"], ambiguous: Bool[Tensor, "batch pos"]
) -> Attention:
    """Spreads attention over what was found; over the beginning of the sequence where that is nothing."""
    slots = selected & found.unsqueeze(-1)
    slots[..., 0] |= ~found
    return spread(slots & ~ambiguous.unsqueeze(-1))


class _Comparison(Mechanism):
    """What lookups share: all are computed by attention heads, tell nothing from something, and know what is ambiguous.

    Attributes:
        value: the parent in slot v.
        members: ascending ids, the keys that can be selected.
    """

    moves_information = True
    can_find_nothing = True
    knows_ambiguous = True
    value: str
    members: Int[Tensor, " n"]

    def check(self, context: Context) -> None:
        parents = self.parents
        for parent in (parent for slot in parents.values() for parent in slot):
            context.expect_kind(parent, "categorical")
        context.expect_same_values("values", context.values, self.value)
        for query, key in zip(parents.get("q", ()), parents["k"]):
            context.expect_same_values(f"values of {query}, compared with {key}", context.known[query], key)
        members, size = self.members, len(context.known[parents["k"][0]] or ())
        context.expect("shape of members", members.ndim, 1)
        if not len(members) or bool((members.diff() <= 0).any()):
            raise context.wrong("members", members.tolist(), "ids in ascending order, at least one")
        context.expect_within("members", members, 0, size - 1)

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, **vars(self), "members": fields.listed(self.members)}


@dataclass(frozen=True, eq=False)
class Lookup(_Comparison):
    """Gives what stands where a key is the query, or another than the query.

    UNDEFINED where the query is, or where fewer than `at_least` slots are selected.

    Attributes:
        query: the parent in slot q; None where every key of the set is selected.
        key, value: the parents in slots k and v; all are categorical, query and key with the same value set.
        relation: `same` or `other`: the key is the query, or is not; None without a query.
        at_least: how many slots must be selected.
        members: ascending ids, the keys that can be selected.
        greatest: whether, of the selected slots, only those with the greatest key are.
    """

    type = "lookup"
    query: str | None
    key: str
    value: str
    relation: Literal["same", "other"] | None
    at_least: int
    members: Int[Tensor, " n"]
    greatest: bool = False

    def __post_init__(self) -> None:
        accepted = (None,) if self.query is None else ("same", "other")
        if self.relation not in accepted:
            found = f"{shortened(self.relation)} with query {shortened(self.query)}"
            raise ValueError(f"relation: found {found}, accepted: {accepted}")
        if type(self.at_least) is not int or not 1 <= self.at_least < _LARGE:
            raise ValueError(f"at_least: found {shortened(self.at_least)}, accepted is an integer from 1 up")
        if type(self.greatest) is not bool:
            raise ValueError(f"greatest: found {shortened(self.greatest)}, accepted: True, False")

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        queries: dict[str | None, tuple[str, ...]] = {} if self.query is None else {"q": (self.query,)}
        return {**queries, "k": (self.key,), "v": (self.value,)}

    def __call__(self, read: Read) -> Values:
        selected, found, ambiguous = self._selected(read)
        value = torch.where(found, _common(selected, read(self.value, "v")), UNDEFINED)
        return torch.where(ambiguous, AMBIGUOUS, value)

    def attention(self, read: Read) -> Attention | None:
        if self.at_least > 1:
            return None
        selected, found, ambiguous = self._selected(read)
        return _at_found(selected, found, ambiguous)

    def _selected(
        self, read: Read
    ) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
        """Tells what each position selects, whether that is something, and where it is ambiguous."""
        key = read(self.key, "k")
        selected = _is_member(key, self.members).unsqueeze(-2).expand(*key.shape, key.shape[-1]).tril()
        ambiguous = (key == AMBIGUOUS).unsqueeze(-2).expand_as(selected).tril().any(-1)
        found = torch.ones_like(ambiguous)
        if self.query is not None:
            query = read(self.query, "q")
            same = query.unsqueeze(-1) == key.unsqueeze(-2)
            selected = selected & (same if self.relation == "same" else ~same)
            found = query != UNDEFINED
            ambiguous = ambiguous | (query == AMBIGUOUS)
        found = found & (selected.sum(-1) >= self.at_least)
        if self.greatest:
            selected = _where_least(selected, -key)
        return selected, found, ambiguous

    def to(self, device: torch.device) -> Lookup:
        return replace(self, members=self.members.to(device))

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> Lookup:
        return cls(
            query=None if data["query"] is None else fields.text(data, "query"),
            key=fields.text(data, "key"),
            value=fields.text(data, "value"),
            relation=data["relation"],
            at_least=data["at_least"],
            members=fields.ids(data, "members", 1),
            greatest=data.get("greatest", False),
        )


@dataclass(frozen=True, eq=False)
class LeastInhibited(_Comparison):
    """Gives what stands in the least inhibited slot, among those whose name is a member.

    Of several it is the first. A slot's inhibition is 1 if its name is the inhibited one, plus 2 if the slot before the
    inhibited place is its own: of two slots that the signals inhibit one each, the one that is inhibited by its name is
    attended. UNDEFINED where one of the two signals is. AMBIGUOUS where the inhibited name stands in no slot, or none
    is before the inhibited place: the signal is then of another sentence.

    Attributes:
        name_query, place_query: the parents in slot q: the name and the place (one past the slot) that are inhibited.
        name_key, place_key: the parents in slot k, with the value sets of the queries.
        value: the parent in slot v, with the value set of the names.
        members: ascending ids of the names.
    """

    type = "least_inhibited"
    name_query: str
    place_query: str
    name_key: str
    place_key: str
    value: str
    members: Int[Tensor, " n"]

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        queries, keys = (self.name_query, self.place_query), (self.name_key, self.place_key)
        return {"q": queries, "k": keys, "v": (self.value,)}

    def __call__(self, read: Read) -> Values:
        first, found, ambiguous = self._selected(read)
        value = torch.where(found, _common(first, read(self.value, "v")), UNDEFINED)
        return torch.where(ambiguous, AMBIGUOUS, value)

    def attention(self, read: Read) -> Attention:
        return _at_found(*self._selected(read))

    def _selected(
        self, read: Read
    ) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
        """Tells what each position selects, whether that is something, and where it is ambiguous."""
        name, place = read(self.name_query, "q"), read(self.place_query, "q")
        name_key, place_key = read(self.name_key, "k"), read(self.place_key, "k")
        candidate = _is_member(name_key, self.members).unsqueeze(-2).expand(*name.shape, name.shape[-1]).tril()
        by_name = name.unsqueeze(-1) == name_key.unsqueeze(-2)
        by_place = place.unsqueeze(-1) == place_key.unsqueeze(-2) + 1
        inhibition = torch.where(candidate, by_name.long() + 2 * by_place.long(), _LARGE)
        least = candidate & (inhibition == inhibition.amin(-1, keepdim=True))
        found = (name != UNDEFINED) & (place != UNDEFINED)
        strange = ~((candidate & by_name).any(-1) & (candidate & by_place).any(-1))
        ambiguous = (name == AMBIGUOUS) | (place == AMBIGUOUS) | (found & strange)
        return _where_least(least, place_key), found, ambiguous

    def to(self, device: torch.device) -> LeastInhibited:
        return replace(self, members=self.members.to(device))

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> LeastInhibited:
        names = ("name_query", "place_query", "name_key", "place_key", "value")
        return cls(**{name: fields.text(data, name) for name in names}, members=fields.ids(data, "members", 1))
