"""The certificate: what was measured of a model, the bars, and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siit.certificate.consistency import check_consistency
from siit.certificate.fields import BARS, CERTIFICATE_FORMAT, FIELDS, SHARES
from siit.certificate.reading import check_fields

__all__ = ["BARS", "CERTIFICATE_FORMAT", "FIELDS", "SHARES", "Certificate", "Effect"]


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
        """Reads what `to_json` writes, and nothing else; a certificate that contradicts itself is none.

        Args:
            data: the file's content.

        Raises:
            ValueError: names the field, what was found and what is accepted. A verdict that does not follow from the
                stored numbers, by the same rule that measuring goes by, is wrong too.
        """
        check_fields(data)
        content = {field.name: data[field.name] for field in dataclasses.fields(cls)}
        effect = None if data["effect"] is None else Effect(**data["effect"])
        certificate = cls(**{**content, "effect": effect, "failed": tuple(data["failed"])})
        check_consistency(certificate)
        return certificate
