"""Mechanisms of attention heads whose pattern is tabulated: RASP's Select, and what is made of the selected slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal.mechanisms import fields
from siit.causal.mechanisms.base import TOKENS, UNDEFINED, Attention, Context, Mechanism, Read, Values, spread

NOT_SELECTED, SELECTED, UNDECIDED = 0, 1, 2
"""Entries of a selection's predicate; undecided where the predicate itself is undefined (it raises)."""
_LARGE = torch.iinfo(torch.int64).max


@dataclass(frozen=True, eq=False)
class Selection:
    """Tells which slots a position selects (RASP's Select): what an attention head's pattern computes.

    The beginning-of-sequence slot is never selected.

    Attributes:
        query, key: parents in the slots q and k, categorical.
        predicate: int8 [n_query + 1, n_key + 1] of NOT_SELECTED, SELECTED and UNDECIDED.
        causal: whether a position sees only slots up to its own.
        valid: whether padding is excluded by reading `tokens` in slot k beside the key.
    """

    query: str
    key: str
    predicate: Int[Tensor, "queries keys"]
    causal: bool
    valid: bool

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        keys = (self.key, TOKENS) if self.valid else (self.key,)
        return {"q": (self.query,), "k": keys}

    def __call__(self, read: Read) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch query"]]:
        """Tells what each position selects, and where that is undecided."""
        query, key = read(self.query, "q"), read(self.key, "k")
        state = self.predicate[query.unsqueeze(-1), key.unsqueeze(-2)]
        positions = key.shape[-1]
        reachable = torch.ones(positions, positions, dtype=torch.bool, device=key.device)
        if self.causal:
            reachable = reachable.tril()
        reachable[:, 0] = False
        if self.valid:
            reachable = reachable & (read(TOKENS, "k") >= 0).unsqueeze(-2)
        return (state == SELECTED) & reachable, ((state == UNDECIDED) & reachable).any(-1)

    def attention(self, read: Read, *, start: int) -> Attention:
        """Spreads a position's attention evenly over what it selects; where that is undecided, any will do.

        Args:
            read: gives a parent's values in a slot.
            start: how many selected slots the beginning of the sequence weighs; if none, 1 where nothing is selected.
        """
        selected, undecided = self(read)
        weights = selected.long()
        weights[..., 0] = start or ~selected.any(-1)
        return spread(weights * ~undecided.unsqueeze(-1))

    def check(self, context: Context) -> None:
        """Raises ValueError unless the predicate fits query and key; see `Mechanism.check`."""
        context.expect("predicate shape", tuple(self.predicate.shape), context.sizes((self.query, self.key)))
        context.expect_within("predicate entries", self.predicate, NOT_SELECTED, UNDECIDED)

    def to(self, device: torch.device) -> Selection:
        return replace(self, predicate=self.predicate.to(device))

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query,
            "key": self.key,
            "predicate": fields.listed(self.predicate),
            "causal": self.causal,
            "valid": self.valid,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Selection:
        """Reads the fields that `to_json` gives, among others."""
        predicate = fields.ids(data, "predicate", 2)
        outside = predicate[(predicate < NOT_SELECTED) | (predicate > UNDECIDED)]
        # Before the conversion, which would take 256 for 0.
        if outside.numel():
            raise ValueError(f"predicate: found {outside[0].item()}, accepted are {NOT_SELECTED} to {UNDECIDED}")
        query, key = fields.text(data, "query"), fields.text(data, "key")
        return cls(query, key, predicate.to(torch.int8), fields.flag(data, "causal"), fields.flag(data, "valid"))


@dataclass(frozen=True, eq=False)
class Aggregate(Mechanism):
    """Gives what the selected slots hold (RASP's Aggregate): their mean, or, where categorical, their common value.

    Undefined where the selection is, where a selected value is, and where categorical values differ (a tie).
    Undefined, too, where nothing is selected and there is no `default`.

    Attributes:
        selection: the slots.
        value: the parent in slot v, with the variable's own values.
        default: the mean of no slot; None where it is undefined, as it is for categorical values.
    """

    type = "aggregate"
    moves_information = True
    selection: Selection
    value: str
    default: float | None

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        return {**self.selection.parents, "v": (self.value,)}

    def __call__(self, read: Read) -> Values:
        selected, undecided = self.selection(read)
        value = read(self.value, "v").unsqueeze(-2)
        if not value.is_floating_point():
            low = torch.where(selected, value, _LARGE).amin(-1)
            high = torch.where(selected, value, UNDEFINED).amax(-1)
            return torch.where((low != high) | undecided, UNDEFINED, high)
        missing = value.isnan()
        count = selected.sum(-1)
        mean = torch.where(selected & ~missing, value, 0.0).sum(-1) / count
        if self.default is not None:
            mean = torch.where(count == 0, self.default, mean)
        return torch.where((selected & missing).any(-1) | undecided, torch.nan, mean)

    def attention(self, read: Read) -> Attention:
        return self.selection.attention(read, start=0)

    def check(self, context: Context) -> None:
        self.selection.check(context)
        context.expect_same_values("values", context.values, self.value)
        if context.values is not None:
            context.expect("default", self.default, None)
        elif self.default is not None and not fields.fits_float32(self.default):
            raise context.wrong("default", self.default, "a finite number")

    def to(self, device: torch.device) -> Aggregate:
        return replace(self, selection=self.selection.to(device))

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, **self.selection.to_json(), "value": self.value, "default": self.default}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> Aggregate:
        default = None if data["default"] is None else fields.number(data, "default")
        return cls(Selection.from_json(data), fields.text(data, "value"), default)


@dataclass(frozen=True, eq=False)
class SelectionShare(Mechanism):
    """Gives the attention left on the beginning-of-sequence slot, 1 / (1 + number of selected slots).

    It is the attention half of RASP's SelectorWidth as Tracr compiles it (arXiv 2301.05062, section 3.2). Its
    value parent `tokens` tells which slot is the beginning of the sequence, and is the same in every input.

    Attributes:
        selection: the slots that are counted.
    """

    type = "selection_share"
    moves_information = True
    constant_slots = frozenset({"v"})
    selection: Selection

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        return {**self.selection.parents, "v": (TOKENS,)}

    def __call__(self, read: Read) -> Values:
        selected, undecided = self.selection(read)
        share = 1.0 / (1.0 + selected.sum(-1))
        return torch.where(undecided, torch.nan, share)

    def attention(self, read: Read) -> Attention:
        """Gives a pattern in which the beginning weighs as much as all other slots together.

        As Tracr has it, weighing as much as one, 7 and 8 selected slots leave 0.125 and 0.111 on it. If it weighs 9,
        they leave 0.5625 and 0.529, so that neighbouring numbers differ more evenly.
        """
        return self.selection.attention(read, start=_slots(read(TOKENS, "v")))

    def written(self, values: Values) -> Values:
        """Gives the attention that this pattern leaves on the beginning."""
        selected = 1.0 / values - 1.0
        start = _slots(values)
        return start / (start + selected)

    def check(self, context: Context) -> None:
        self.selection.check(context)
        context.expect("kind", context.kind, "numerical")

    def to(self, device: torch.device) -> SelectionShare:
        return SelectionShare(self.selection.to(device))

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, **self.selection.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> SelectionShare:
        return cls(Selection.from_json(data))


def _slots(values: Values) -> int:
    """Counts the slots of an input beside the beginning."""
    return values.shape[-1] - 1
