"""The certificate: what was measured of a model, the bars, and the verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siit._text import shortened

CERTIFICATE_FORMAT = "siit-certificate/1"
BAR = 0.999
LOGIT_BAR = 1e-3
"""Of a node that shares its unit with others: its effect is a mean absolute change of logits, and must exceed this."""
SHARES = (
    "accuracy",
    "iia",
    "edge_iia",
    "strict_node",
    "strict_edge",
    "strict_joint",
    "strict_subsets",
    "joint_mean",
    "joint_zero",
)
"""Fields that are a share of scored positions, the minimum over their components."""
FIELDS = (*SHARES, "effect")
BARS: Mapping[str, float] = {**dict.fromkeys(SHARES, BAR), "effect": 0.0, "effect_logits": LOGIT_BAR}


@dataclass(frozen=True)
class Effect:
    """How much each part of the circuit moves the output; `details["effect"]` says how each was measured.

    Attributes:
        units, edges: unit or high-level edge -> a share of positions at which the model's answer changes. It is of
            those at which the high-level model's changes under the same interchange. Where that never does, it is of
            all scored positions, under zero replacement.
        nodes: head or MLP of the circuit -> its unit's effect, where it is the unit's only node. Otherwise the mean
            absolute change of the (centred) logits when it is replaced alone, at the same positions.
    """

    units: Mapping[str, float]
    edges: Mapping[str, float]
    nodes: Mapping[str, float]


@dataclass(frozen=True)
class Certificate:
    """Holds what was measured of one model on its evidence.

    Attributes:
        accuracy, iia, edge_iia, strict_node, strict_edge, strict_joint, strict_subsets, joint_mean, joint_zero: shares
            of scored positions at which the model is right, the minimum over components. 1.0 where there is no
            component (then named in `evidence["nothing_measured"]`). None where screening spared the measurement.
        effect: see `Effect`; None where screening spared it.
        details: field -> what was measured of each component.
        bars: field -> what it must reach; every `effect` must exceed `effect`, or `effect_logits` where it is a change
            of logits.
        failed: each bar that does not hold and by how much, the worst component first; empty if certified.
        evidence: how many pairs, scored positions and changed answers each number rests on.
    """

    certified: bool
    accuracy: float | None
    iia: float | None
    edge_iia: float | None
    strict_node: float | None
    strict_edge: float | None
    strict_joint: float | None
    strict_subsets: float | None
    joint_mean: float | None
    joint_zero: float | None
    effect: Effect | None
    details: Mapping[str, Any]
    bars: Mapping[str, float]
    failed: tuple[str, ...]
    evidence: Mapping[str, Any]

    @property
    def worst_node(self) -> tuple[str, float] | None:
        """The off-circuit node that does most harm alone, and the share right without it; None if none was measured."""
        return self.worst("strict_node")

    @property
    def worst_edge(self) -> tuple[str, float] | None:
        """The off-circuit edge that does most harm alone, and the share right without it; None if none was measured."""
        return self.worst("strict_edge")

    def worst(self, field: str) -> tuple[str, float] | None:
        """Finds a field's worst component and its value; None if it has none or was not measured."""
        values = self.details.get(field) or {}
        if not values:
            return None
        name = min(values, key=values.__getitem__)
        return name, values[name]

    def to_json(self) -> dict[str, Any]:
        """Makes the content of `certificate.json`."""
        data = dataclasses.asdict(self)
        return {"format": CERTIFICATE_FORMAT, **data, "failed": list(self.failed)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Certificate:
        """Reads what `to_json` writes, and nothing else.

        Raises:
            ValueError: names the field, what was found and what is accepted.
        """
        if data.get("format") != CERTIFICATE_FORMAT:
            raise _wrong("format", data.get("format"), repr(CERTIFICATE_FORMAT))
        names = [field.name for field in dataclasses.fields(cls)]
        for name in names:
            if name not in data:
                raise _wrong(name, "nothing", "a value")
        for name in data:
            if name not in ("format", *names):
                raise _wrong(name, "a field of this name", ", ".join(names))
        if type(data["certified"]) is not bool:
            raise _wrong("certified", data["certified"], "true or false")
        for name in SHARES:
            if data[name] is not None and not (_is_number(data[name]) and 0 <= data[name] <= 1):
                raise _wrong(name, data[name], "a number from 0 to 1, or null if not measured")
        for name in ("details", "bars", "evidence"):
            if not isinstance(data[name], Mapping):
                raise _wrong(name, data[name], "an object")
        _check_numbers("bars", data["bars"])
        for name, values in data["details"].items():
            if not isinstance(values, Mapping):
                raise _wrong(f"details.{name}", values, "an object")
        failed = data["failed"]
        if not isinstance(failed, list) or not all(isinstance(line, str) for line in failed):
            raise _wrong("failed", failed, "a list of strings")
        unmeasured = [name for name in FIELDS if data[name] is None]
        if data["certified"] and (failed or unmeasured):
            raise _wrong("certified", True, f"false, for {', '.join(failed or unmeasured)}")
        content = {name: data[name] for name in names}
        return cls(**{**content, "effect": _read_effect(data["effect"]), "failed": tuple(failed)})


def _read_effect(data: object) -> Effect | None:
    if data is None:
        return None
    parts = ("units", "edges", "nodes")
    if not isinstance(data, Mapping) or set(data) != set(parts):
        raise _wrong("effect", data, f"an object of {', '.join(parts)}, or null if not measured")
    for part in parts:
        _check_numbers(f"effect.{part}", data[part])
    return Effect(**data)


def _check_numbers(name: str, values: object) -> None:
    if not isinstance(values, Mapping):
        raise _wrong(name, values, "an object")
    for key, value in values.items():
        if not _is_number(value) or value < 0:
            raise _wrong(f"{name}.{key}", value, "a finite number from 0 up")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(field: str, found: object, accepted: str) -> ValueError:
    return ValueError(f"certificate: {field}: found {shortened(found)}, accepted is {accepted}")
