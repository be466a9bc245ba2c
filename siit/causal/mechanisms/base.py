"""What all mechanisms share: how values are kept, the base class and its registry, and what a mechanism is checked in.

Categorical values are ids into the variable's value set, int64, -1 where undefined; numerical values are
float32, NaN where undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Num, Shaped
from torch import Tensor

from siit._text import shortened

TOKENS, INDICES, OUTPUT = "tokens", "indices", "output"
UNDEFINED = -1
SLOTS = ("q", "k", "v")
"""Of attention; a mechanism that moves no information reads in the slot None."""

Scalar = str | int | float | bool
Class = Scalar | None
"""What a class of the answer stands for; None is an answer like any other where the program says so."""
ValueSet = tuple[Class, ...] | None
"""What ids stand for; None where values are numbers."""
Kind = Literal["categorical", "numerical"]
Values = Num[Tensor, "batch pos"]
Attention = Float[Tensor, "batch query key"]
"""How much of its attention each position gives to every other."""
Read = Callable[[str, str | None], Tensor]
"""`read(parent, slot)`: the parent's values as this mechanism's variable reads them in that slot."""


def undefined(values: Values) -> Bool[Tensor, "batch pos"]:
    """Tells where values are undefined."""
    return values.isnan() if values.is_floating_point() else values < 0


def spread(weights: Shaped[Tensor, "batch query key"]) -> Attention:
    """Spreads each position's attention over slots in proportion to whole weights; over none where all are 0."""
    return weights / weights.sum(-1, keepdim=True).clamp(min=1)


def kind_of(values: ValueSet) -> Kind:
    """Names the kind of a variable with these values."""
    return "numerical" if values is None else "categorical"


def same_values(one: ValueSet, other: ValueSet) -> bool:
    """Tells whether ids stand for the same; 1, 1.0 and True are three values."""
    if one is None or other is None or len(one) != len(other):
        return one is other
    return all(type(a) is type(b) and a == b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True, eq=False)
class Context:
    """Holds what stands around a mechanism in its model, and checks against it.

    Attributes:
        name: of the variable that the mechanism computes.
        values: that variable's values.
        known: every input and every variable that is computed before -> its values.
        ambiguous: those of them that can be AMBIGUOUS (see `Lookup`).
    """

    name: str
    values: ValueSet
    known: Mapping[str, ValueSet]
    ambiguous: frozenset[str] = frozenset()

    @property
    def kind(self) -> Kind:
        return kind_of(self.values)

    def wrong(self, what: str, found: object, accepted: object) -> ValueError:
        """Makes the error that names the variable, what was found and what is accepted."""
        shown = [text if isinstance(text, str) else shortened(text) for text in (found, accepted)]
        return ValueError(f"causal model: variable {self.name!r}: {what}: found {shown[0]}, accepted is {shown[1]}")

    def expect(self, what: str, found: object, accepted: object) -> None:
        """Raises ValueError unless what was found is what is accepted."""
        if found != accepted:
            raise self.wrong(what, found, accepted)

    def expect_kind(self, parent: str, kind: Kind) -> None:
        """Raises ValueError unless a parent is of this kind."""
        self.expect(f"kind of {parent}", kind_of(self.known[parent]), kind)

    def expect_same_values(self, what: str, found: ValueSet, parent: str) -> None:
        """Raises ValueError unless these values are a parent's."""
        if not same_values(found, self.known[parent]):
            raise self.wrong(what, found, f"{shortened(self.known[parent])}, the values of {parent}")

    def expect_within(self, what: str, ids: Tensor, low: int, high: int) -> None:
        """Raises ValueError, with the first entry that is outside, unless all entries are from `low` to `high`."""
        outside = ids[(ids < low) | (ids > high)]
        if outside.numel():
            raise self.wrong(what, outside.flatten()[0].item(), f"{low} to {high}")

    def expect_entries(self, table: Tensor) -> None:
        """Raises ValueError unless a table's entries are ids of the variable's values, or numbers where it has none."""
        accepted = torch.float32 if self.values is None else torch.int64
        self.expect("table entries", table.dtype, accepted)
        if self.values is not None:
            self.expect_within("table entries", table, UNDEFINED, len(self.values) - 1)
        elif bool(table.isinf().any()):
            raise self.wrong("table entries", "an infinity", "finite numbers, and NaN where undefined")

    def sizes(self, parents: Sequence[str]) -> tuple[int, ...]:
        """Gives the shape of a table over these parents: their numbers of values, and one more for undefined.

        Raises:
            ValueError: a parent is numerical.
        """
        for parent in parents:
            self.expect_kind(parent, "categorical")
        return tuple(len(self.known[parent] or ()) + 1 for parent in parents)


class Mechanism:
    """Computes a variable from its parents, batched over examples.

    A subclass is all that a new mechanism takes. Its `type` names it in `causal_model.json`.

    Attributes:
        type: unique; a class without one of its own cannot be read.
        moves_information: whether it moves information between positions, so that attention heads must compute it.
        constant_slots: slots in which what is read is the same in every input.
        can_find_nothing: whether UNDEFINED says that nothing was found, which is an answer like others.
        knows_ambiguous: whether it can give AMBIGUOUS, and keeps apart what is ambiguous among its parents.
    """

    type: ClassVar[str]
    moves_information: ClassVar[bool] = False
    constant_slots: ClassVar[frozenset[str]] = frozenset()
    can_find_nothing: ClassVar[bool] = False
    knows_ambiguous: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        name = cls.__dict__.get("type")
        if name is None:
            return
        taken = _BY_TYPE.get(name)
        # The same class again is one that a notebook's cell, run again, defines anew.
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"mechanism type: found {name!r}, that of {taken}, in {cls}; accepted is one of its own")
        _BY_TYPE[name] = cls

    @property
    def parents(self) -> Mapping[str | None, tuple[str, ...]]:
        """Maps a slot (q, k, v, or None where pointwise) to parent variables."""
        raise NotImplementedError

    def __call__(self, read: Read) -> Values:
        """Computes the variable's values, [batch, pos].

        Args:
            read: gives a parent's values in a slot.
        """
        raise NotImplementedError

    def attention(self, read: Read) -> Attention | None:
        """Gives a pattern with which a head could compute the variable; None where no head does, or none is known.

        Training may teach it to heads. No label and no certificate rests on it.

        Args:
            read: gives a parent's values in a slot.

        Returns:
            Rows that sum to 1, and to 0 where any pattern will do.
        """
        return None

    def written(self, values: Values) -> Values:
        """Gives the numbers that a head with the pattern of `attention` writes for the variable's values.

        Training may teach them to its nodes. They are the values themselves, unless a pattern has others of its own.

        Args:
            values: of the variable, [batch, pos].
        """
        return values

    def check(self, context: Context) -> None:
        """Checks that kinds, shapes and entries fit the parents, so that no run can fail or read a wrong entry.

        Args:
            context: the variable, and what is computed before it.

        Raises:
            ValueError: names the variable, what was found and what is accepted.
        """
        raise NotImplementedError

    def to(self, device: torch.device) -> Mechanism:
        """Gives the same mechanism with its tensors on `device`."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Gives the mechanism as data, its `type` among it."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> Mechanism:
        """Reads what `to_json` gave.

        Args:
            data: the mechanism as data.
            categorical: whether the variable that it computes is.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError, OverflowError: for missing or malformed fields.
        """
        raise NotImplementedError


_BY_TYPE: dict[str, type[Mechanism]] = {}


def mechanism_from_json(data: Mapping[str, Any], categorical: bool) -> Mechanism:
    """Reads a mechanism of any type.

    Args:
        data: what `Mechanism.to_json` gave.
        categorical: whether the variable that it computes is.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError, OverflowError: for an unknown type, or fields that are missing,
            malformed or unknown.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"mechanism: found {shortened(data)}, accepted is an object")
    name = data["type"]
    found = _BY_TYPE.get(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"mechanism type: found {shortened(name)}, accepted: {', '.join(_BY_TYPE)}")
    mechanism = found.from_json(data, categorical)
    fields = mechanism.to_json()
    unknown = [field for field in data if field not in fields]
    if unknown:
        raise ValueError(f"mechanism {name}: found the field {shortened(unknown[0])}, accepted: {', '.join(fields)}")
    return mechanism


def check_mechanism(mechanism: Mechanism, context: Context) -> None:
    """Checks what holds for all mechanisms, and what the mechanism's own `check` asks for.

    Args:
        mechanism: of the variable that the context names; its parents are known there.
        context: the variable, and what is computed before it.

    Raises:
        ValueError: names the variable, what was found and what is accepted.
    """
    slots = SLOTS if mechanism.moves_information else (None,)
    for slot, parents in mechanism.parents.items():
        if slot not in slots:
            raise context.wrong("slot of its parents", slot, " or ".join(map(str, slots)))
        if not parents:
            raise context.wrong("parents", "none", "at least one in each slot")
        for parent in parents:
            if parent in context.ambiguous and not mechanism.knows_ambiguous:
                # What is ambiguous would be read as another entry of a table.
                raise context.wrong(f"parent {parent}", "a lookup", "none")
    if not mechanism.parents:
        raise context.wrong("parents", "none", "at least one")
    mechanism.check(context)
