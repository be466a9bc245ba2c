"""Attribution patching: what patching would do, to first order, for all edges or nodes by one pass back."""

from __future__ import annotations

from dataclasses import dataclass

from siit.certificate.fields import Kind
from siit.discovery.method import Parameters, of_edges, zeros
from siit.discovery.task import DiscoveryTask, Level


@dataclass(frozen=True)
class AttributionPatching(Parameters):
    """Edge attribution patching (EAP; Syed, Rager, Conmy, arXiv 2310.10348).

    The change of the sender's output, corrupted less clean, times the gradient of the metric at what the receiver's
    slot reads, on the clean run. An edge's score is the absolute value of its mean over pairs. A node's (Nanda,
    "Attribution patching", 2023) is that at its own output, which is the sum of its edges'.

    Attributes:
        level: whether edges or nodes are scored.
        by: what would replace: `resample` (the corrupted run), `mean` or `zero`.
    """

    level: Level = "edge"
    by: Kind = "resample"

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge or node, by three runs forward and one back for each pair."""
        total = zeros(task, len(task.edges))
        for batch in task.batches():
            masks = batch.masks(task.edges)
            total += batch.gradient(batch.difference(batch.run(edges=masks, by=self.by)), masks)
        return of_edges(task, total / len(task), self.level)
