"""What a run has changed about its labels: variables that got a node more, and edges that left the circuit.

It is part of the run's checkpoints. A run whose labels change goes on from its checkpoint as an interrupted one does,
so that an interruption changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siit.graph.architecture import depth, edges
from siit.training.fit.plan import Plan, relabelled


@dataclass(frozen=True)
class Widening:
    """One node more for a variable.

    Attributes:
        variable: the attention variable.
        node: a further head of its layer, or the layer's MLP.
        step: of the checkpoint from which the wider model is trained on.
    """

    variable: str
    node: str
    step: int


@dataclass(frozen=True)
class Narrowing:
    """Edges that leave the circuit: they carry nothing beside others that carry the same.

    Attributes:
        edges: their names.
        step: of the checkpoint from which the model is trained on, with these edges off the circuit.
    """

    edges: tuple[str, ...]
    step: int


@dataclass(frozen=True)
class Revisions:
    """All that a run has changed about its labels so far."""

    widened: tuple[Widening, ...] = ()
    narrowed: tuple[Narrowing, ...] = ()

    def __len__(self) -> int:
        return len(self.widened) + len(self.narrowed)

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        """Makes what checkpoints and `training.json` keep."""
        return {
            "widened": [dataclasses.asdict(widening) for widening in self.widened],
            "narrowed": [{"edges": list(each.edges), "step": each.step} for each in self.narrowed],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Revisions:
        """Reads what `to_json` made."""
        return cls(
            tuple(Widening(**each) for each in data["widened"]),
            tuple(Narrowing(tuple(each["edges"]), each["step"]) for each in data["narrowed"]),
        )

    def applied_to(self, plan: Plan) -> Plan:
        """Derives the labels of a plan again, with these changes.

        Args:
            plan: as it was drawn, before any change.
        """
        if not len(self):
            return plan
        alignment = dict(plan.alignment)
        for widening in self.widened:
            nodes = {*alignment[widening.variable], widening.node}
            alignment[widening.variable] = tuple(sorted(nodes, key=lambda node: (depth(node), node)))
        by_name = {str(edge): edge for edge in edges(plan.config)}
        return relabelled(plan, alignment, [by_name[name] for each in self.narrowed for name in each.edges])
