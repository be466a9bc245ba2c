"""Mechanisms: pure functions from the values of a variable's parents to its own, batched over examples.

Categorical values are ids into the variable's value set, int64, -1 where undefined; numerical values are
float32, NaN where undefined. A table has one entry more than its parent has values: the last one says what
an undefined parent (id -1) leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

UNDEFINED = -1
NOT_SELECTED, SELECTED, UNDECIDED = 0, 1, 2
"""Entries of a selection's predicate; undecided where the predicate itself is undefined (it raises)."""

Values = Num[Tensor, "batch pos"]
Read = Callable[[str, str | None], Tensor]
"""`read(parent, slot)`: the parent's values as this mechanism's variable reads them in that slot."""


def undefined(values: Values) -> Bool[Tensor, "batch pos"]:
    """Where values are undefined."""
    return values.isnan() if values.is_floating_point() else values < 0


class Mechanism:
    """Base of all mechanisms. `parents` maps a slot (q, k, v, or None where pointwise) to parent variables."""

    type: ClassVar[str]

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        raise NotImplementedError

    def __call__(self, read: Read) -> Values:
        raise NotImplementedError

    def to(self, device: torch.device) -> Mechanism:
        return self

    def to_json(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Table(Mechanism):
    """A pointwise function of one or two categorical parents, tabulated.

    Attributes:
        inputs: the parents.
        table: shape [n_1 + 1] or [n_1 + 1, n_2 + 1], int64 ids or float32 values.
    """

    type = "table"
    inputs: tuple[str, ...]
    table: Num[Tensor, "..."]

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        return {None: self.inputs}

    def __call__(self, read: Read) -> Values:
        return self.table[tuple(read(parent, None) for parent in self.inputs)]

    def to(self, device: torch.device) -> Table:
        return Table(self.inputs, self.table.to(device))

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "inputs": list(self.inputs), "table": listed(self.table)}


@dataclass(frozen=True, eq=False)
class Nearest(Mechanism):
    """A pointwise function of one numerical parent, tabulated at the values that the parent can take.

    The parent's value is taken for the nearest tabulated one, as Tracr's compiled MLP does.

    Attributes:
        input: the parent.
        points: ascending, shape [n].
        table: shape [n], int64 ids or float32 values.
    """

    type = "nearest"
    input: str
    points: Float[Tensor, " n"]
    table: Num[Tensor, " n"]

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        return {None: (self.input,)}

    def __call__(self, read: Read) -> Values:
        value = read(self.input, None)
        nearest = (value.unsqueeze(-1) - self.points).abs().argmin(-1)
        result = self.table[nearest]
        return torch.where(value.isnan(), torch.full_like(result, _undefined_value(result)), result)

    def to(self, device: torch.device) -> Nearest:
        return Nearest(self.input, self.points.to(device), self.table.to(device))

    def to_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "input": self.input,
            "points": listed(self.points),
            "table": listed(self.table),
        }


@dataclass(frozen=True, eq=False)
class Linear(Mechanism):
    """A weighted sum of numerical parents (RASP's LinearSequenceMap)."""

    type = "linear"
    inputs: tuple[str, ...]
    coefficients: tuple[float, ...]

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        return {None: self.inputs}

    def __call__(self, read: Read) -> Values:
        total = self.coefficients[0] * read(self.inputs[0], None)
        for parent, coefficient in zip(self.inputs[1:], self.coefficients[1:], strict=True):
            total = total + coefficient * read(parent, None)
        return total

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "inputs": list(self.inputs), "coefficients": list(self.coefficients)}


@dataclass(frozen=True, eq=False)
class Selection:
    """Which slots a position selects (RASP's Select): what an attention head's pattern computes.

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
        keys = (self.key, "tokens") if self.valid else (self.key,)
        return {"q": (self.query,), "k": keys}

    def __call__(self, read: Read) -> tuple[Bool[Tensor, "batch query key"], Bool[Tensor, "batch query"]]:
        """What each position selects, and where that is undecided."""
        query, key = read(self.query, "q"), read(self.key, "k")
        state = self.predicate[query.unsqueeze(-1), key.unsqueeze(-2)]
        positions = key.shape[-1]
        reachable = torch.ones(positions, positions, dtype=torch.bool, device=key.device)
        if self.causal:
            reachable = reachable.tril()
        reachable[:, 0] = False
        if self.valid:
            reachable = reachable & (read("tokens", "k") >= 0).unsqueeze(-2)
        return (state == SELECTED) & reachable, ((state == UNDECIDED) & reachable).any(-1)

    def to(self, device: torch.device) -> Selection:
        return Selection(self.query, self.key, self.predicate.to(device), self.causal, self.valid)

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query,
            "key": self.key,
            "predicate": listed(self.predicate),
            "causal": self.causal,
            "valid": self.valid,
        }


@dataclass(frozen=True, eq=False)
class Aggregate(Mechanism):
    """What the selected slots hold (RASP's Aggregate): their mean, or, where categorical, their common value.

    Undefined where the selection is, where a selected value is, where categorical values differ (a tie), and
    where nothing is selected and there is no `default`.
    """

    type = "aggregate"
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

    def to(self, device: torch.device) -> Aggregate:
        return Aggregate(self.selection.to(device), self.value, self.default)

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, **self.selection.to_json(), "value": self.value, "default": self.default}


@dataclass(frozen=True, eq=False)
class SelectionShare(Mechanism):
    """The attention left on the beginning-of-sequence slot, 1 / (1 + number of selected slots).

    It is the attention half of RASP's SelectorWidth as Tracr compiles it (arXiv 2301.05062, section 3.2); its
    value parent `tokens` tells which slot is the beginning of the sequence, and is the same in every input.
    """

    type = "selection_share"
    selection: Selection

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        return {**self.selection.parents, "v": ("tokens",)}

    def __call__(self, read: Read) -> Values:
        selected, undecided = self.selection(read)
        share = 1.0 / (1.0 + selected.sum(-1))
        return torch.where(undecided, torch.nan, share)

    def to(self, device: torch.device) -> SelectionShare:
        return SelectionShare(self.selection.to(device))

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, **self.selection.to_json()}


_LARGE = torch.iinfo(torch.int64).max


def _undefined_value(values: Tensor) -> float | int:
    return torch.nan if values.is_floating_point() else UNDEFINED


def listed(tensor: Tensor) -> Any:
    """Nested lists, with None for NaN, which JSON does not know."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        return None if value != value else value

    return plain(tensor.tolist())
