"""Interchange: what a whole node writes is interchanged for what it writes on the source."""

from __future__ import annotations

from dataclasses import dataclass

from siit.discovery.method import Parameters, by_name
from siit.localization.task import VariableTask


@dataclass(frozen=True)
class NodeInterchange(Parameters):
    """Interchange interventions on single nodes (Geiger et al., arXiv 2106.02997, section 3).

    A score is the interchange intervention accuracy on the held-out pairs, with a node's output at every position that
    of the source run. It is what MIB calls the full vector (arXiv 2504.13151, section 4). A variable that several heads
    carry jointly need not move with any one of them.
    """

    def __call__(self, task: VariableTask) -> dict[str, float]:
        """Scores every node."""
        return by_name(task.nodes, task.iia(lambda batch: batch.differences))
