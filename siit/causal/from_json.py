"""Mechanisms from JSON, as `Mechanism.to_json` wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from siit.causal.lookups import LeastInhibited, Lookup
from siit.causal.mechanisms import (
    UNDECIDED,
    Aggregate,
    Linear,
    Mechanism,
    Nearest,
    Selection,
    SelectionShare,
    Table,
)


def _tensor(data: Any, categorical: bool) -> Tensor:
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        return torch.nan if value is None else value

    if not categorical:
        return torch.tensor(plain(data), dtype=torch.float32)
    ids = torch.tensor(data)
    if ids.dtype != torch.int64:
        raise TypeError(f"table: found {ids.dtype} entries, accepted are integers")
    return ids


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"causal, valid: found {value!r}, accepted are true and false")
    return value


def mechanism_from_json(data: Mapping[str, Any], categorical: bool) -> Mechanism:
    """Reads a mechanism; `categorical` says what kind of variable it computes.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError, OverflowError: for an unknown type or malformed fields.
    """
    kind = data["type"]
    if kind == Table.type:
        return Table(tuple(data["inputs"]), _tensor(data["table"], categorical))
    if kind == Nearest.type:
        return Nearest(data["input"], _tensor(data["points"], False), _tensor(data["table"], categorical))
    if kind == Linear.type:
        return Linear(tuple(data["inputs"]), tuple(float(value) for value in data["coefficients"]))
    if kind in (Aggregate.type, SelectionShare.type):
        # Clamped to just outside what is accepted: a conversion alone would take 256 for 0.
        predicate = _tensor(data["predicate"], True).clamp(-1, UNDECIDED + 1).to(torch.int8)
        selection = Selection(data["query"], data["key"], predicate, _flag(data["causal"]), _flag(data["valid"]))
        if kind == Aggregate.type:
            default = data["default"]
            return Aggregate(selection, data["value"], None if default is None else float(default))
        return SelectionShare(selection)
    if kind in (Lookup.type, LeastInhibited.type):
        fields = {name: value for name, value in data.items() if name != "type"}
        members = _tensor(fields.pop("members"), True)
        return (Lookup if kind == Lookup.type else LeastInhibited)(**fields, members=members)
    accepted = "table, nearest, linear, aggregate, selection_share, lookup, least_inhibited"
    raise ValueError(f"mechanism type: found {kind!r}, accepted: {accepted}")
