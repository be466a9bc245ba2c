"""The certificate: what was measured of a model, the bars, and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siit.certificate.consistency import check_consistency
from siit.certificate.fields import (
    BARS,
    CERTIFICATE_FORMAT,
    FIELDS,
    FIRST_KIND,
    FIRST_KIND_FORMAT,
    SECOND_KIND_ONLY,
    SHARES,
)
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
        accuracy, iia, edge_iia, strict_node, strict_edge, strict_joint, strict_subsets, strict_adversarial, joint_mean,
            joint_zero: shares of scored positions at which the model is right, the minimum over components. 1.0 where
            there is no component (then named in `evidence["nothing_measured"]`). None where an earlier
            stage failed, and where a certificate of the first kind has no such field.
        effect: see `Effect`; None where it was spared.
        details: field -> what was measured of each component; `by_kind`: field -> kind of replacement -> the same.
        bars: field -> what it must reach; every `effect` must exceed `effect`, or `effect_logits` where it is a change
            of logits.
        failed: each bar that does not hold and by how much, the worst component first; empty if certified.
        evidence: how many pairs, scored positions and changed answers each number rests on.
        first_kind: an earlier version wrote it. Its off-circuit edges are those between members alone, single parts
            and subsets were resampled alone, and there was no adversary.
    """

    certified: bool
    accuracy: float | None
    iia: float | None
    edge_iia: float | None
    strict_node: float | None
    strict_edge: float | None
    strict_joint: float | None
    strict_subsets: float | None
    strict_adversarial: float | None
    joint_mean: float | None
    joint_zero: float | None
    effect: Effect | None
    details: Mapping[str, Any]
    bars: Mapping[str, float]
    failed: tuple[str, ...]
    evidence: Mapping[str, Any]
    first_kind: bool = False

    @property
    def shares(self) -> tuple[str, ...]:
        """Fields that are a share of scored positions, of this kind of certificate."""
        return tuple(name for name in SHARES if not (self.first_kind and name in SECOND_KIND_ONLY))

    @property
    def format(self) -> str:
        """The format in which it is written, which tells its kind."""
        return FIRST_KIND_FORMAT if self.first_kind else CERTIFICATE_FORMAT

    @property
    def verdict(self) -> str:
        """Whether it certifies, in words; of the first kind, that it is."""
        words = "certified" if self.certified else "NOT certified"
        return f"{words}, {FIRST_KIND}" if self.first_kind else words

    @property
    def measures_every_edge(self) -> bool:
        """Whether each edge of the model was measured alone, so that those off the circuit have a label."""
        return not self.first_kind and self.strict_edge is not None

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
        for name in ("first_kind", *(SECOND_KIND_ONLY if self.first_kind else ())):
            del data[name]
        return {"format": self.format, **data, "failed": list(self.failed)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Certificate:
        """Reads what `to_json` writes, and nothing else; a certificate that contradicts itself is none.

        Certificates of the first kind, which earlier versions wrote, are read as such.

        Args:
            data: the file's content.

        Raises:
            ValueError: names the field, what was found and what is accepted. A verdict that does not follow from the
                stored numbers, by the same rule that measuring goes by, is wrong too.
        """
        check_fields(data)
        first_kind = data["format"] == FIRST_KIND_FORMAT
        content = {field.name: data.get(field.name) for field in dataclasses.fields(cls)}
        effect = None if data["effect"] is None else Effect(**data["effect"])
        certificate = cls(**{**content, "effect": effect, "failed": tuple(data["failed"]), "first_kind": first_kind})
        check_consistency(certificate)
        return certificate
