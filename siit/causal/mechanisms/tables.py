"""Pointwise mechanisms, which MLPs compute: tables, and weighted sums.

A table has one entry more than its parent has values: the last one says what an undefined parent (id -1) leads to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from siit.causal.mechanisms import fields
from siit.causal.mechanisms.base import UNDEFINED, Context, Mechanism, Read, Values


@dataclass(frozen=True, eq=False)
class Table(Mechanism):
    """Tabulates a pointwise function of categorical parents.

    Attributes:
        inputs: the parents, mostly one or two.
        table: int64 ids or float32 values, shape [n_1 + 1, n_2 + 1, ...], as each parent has values.
    """

    type = "table"
    inputs: tuple[str, ...]
    table: Num[Tensor, "..."]

    @property
    def parents(self) -> dict[str | None, tuple[str, ...]]:
        return {None: self.inputs}

    def __call__(self, read: Read) -> Values:
        return self.table[tuple(read(parent, None) for parent in self.inputs)]

    def check(self, context: Context) -> None:
        context.expect("table shape", tuple(self.table.shape), context.sizes(self.inputs))
        context.expect_entries(self.table)

    def to(self, device: torch.device) -> Table:
        return replace(self, table=self.table.to(device))

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "inputs": list(self.inputs), "table": fields.listed(self.table)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> Table:
        return cls(fields.texts(data, "inputs"), _entries(data, categorical))


@dataclass(frozen=True, eq=False)
class Nearest(Mechanism):
    """Tabulates a pointwise function of one numerical parent at the values that the parent can take.

    The parent's value is taken for the nearest tabulated one, as Tracr's compiled MLP does.

    Attributes:
        input: the parent.
        points: ascending and finite, shape [n].
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

    def check(self, context: Context) -> None:
        context.expect_kind(self.input, "numerical")
        points = self.points
        context.expect("shape of points", points.ndim, 1)
        if not len(points) or not bool(points.isfinite().all()) or bool((points.diff() < 0).any()):
            raise context.wrong("points", points.tolist(), "finite numbers in ascending order, at least one")
        context.expect("table shape", tuple(self.table.shape), tuple(points.shape))
        context.expect_entries(self.table)

    def to(self, device: torch.device) -> Nearest:
        return replace(self, points=self.points.to(device), table=self.table.to(device))

    def to_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "input": self.input,
            "points": fields.listed(self.points),
            "table": fields.listed(self.table),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> Nearest:
        return cls(fields.text(data, "input"), fields.floats(data, "points", 1), _entries(data, categorical, 1))


@dataclass(frozen=True, eq=False)
class Linear(Mechanism):
    """Gives a weighted sum of numerical parents (RASP's LinearSequenceMap).

    Attributes:
        inputs: the parents.
        coefficients: one for each.
    """

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

    def check(self, context: Context) -> None:
        context.expect("kind", context.kind, "numerical")
        context.expect("coefficients", len(self.coefficients), len(self.inputs))
        for parent in self.inputs:
            context.expect_kind(parent, "numerical")
        if not all(map(fields.fits_float32, self.coefficients)):
            raise context.wrong("coefficients", self.coefficients, "finite numbers")

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "inputs": list(self.inputs), "coefficients": list(self.coefficients)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> Linear:
        return cls(fields.texts(data, "inputs"), fields.numbers(data, "coefficients"))


def _entries(data: Mapping[str, Any], categorical: bool, ndim: int | None = None) -> Tensor:
    return (fields.ids if categorical else fields.floats)(data, "table", ndim)


def _undefined_value(values: Tensor) -> float | int:
    return torch.nan if values.is_floating_point() else UNDEFINED
