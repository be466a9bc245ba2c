"""Head importance: how much a head's output matters to the metric, to first order, in each example."""

from __future__ import annotations

from dataclasses import dataclass

from siit.certificate.fields import Kind
from siit.discovery.method import Parameters, by_name, zeros
from siit.discovery.task import DiscoveryTask


@dataclass(frozen=True)
class HeadImportance(Parameters):
    """Head importance scores for pruning (HISP; Michel, Levy, Neubig, arXiv 1905.10650, section 4.1).

    A node's output times the metric's gradient there is the gradient of its mask. A score is the mean over pairs of its
    absolute value, which attribution patching takes of the mean. MLPs and embeddings are scored too. So scores are not
    divided by the norm of their layer's, as the paper has it.

    Attributes:
        by: what a mask replaces the output by: `zero` as in the paper, or `resample` as in ACDC's comparison
            (arXiv 2304.14997, section 4), or `mean`.
    """

    by: Kind = "zero"

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every node, by three runs forward and one back for each pair."""
        total = zeros(task, len(task.nodes))
        for batch in task.batches():
            masks = batch.masks(task.nodes, per_example=True)
            logits = batch.run(nodes=masks, by=self.by)
            total += batch.gradient(batch.difference(logits), masks).abs().sum(0)
        return by_name(task.nodes, total / len(task))
