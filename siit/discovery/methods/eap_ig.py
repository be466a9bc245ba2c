"""Attribution patching with integrated gradients: the gradient is averaged on the way from corrupted to clean."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from siit.certificate.fields import Kind
from siit.discovery.method import Parameters, of_edges, zeros
from siit.discovery.readout import Metric
from siit.discovery.task import DiscoveryTask, Level, TaskBatch

STEPS = 5
"""On the way; the paper's number."""


@dataclass(frozen=True)
class InputGradients(Parameters):
    """EAP-IG on inputs (Hanna, Pezzelle, Belinkov, arXiv 2403.17806, section 3).

    As edge attribution patching, with the mean of several gradients. The runs are on embeddings of corrupted + k /
    steps (clean - corrupted). k goes from 0 to steps - 1, as in the authors' package; the paper has 1 to steps.

    Attributes:
        level: whether edges or nodes are scored.
        steps: runs on the way.
        metric: what is differentiated: `difference`, or `divergence` from the clean run.
    """

    level: Level = "edge"
    steps: int = STEPS
    metric: Metric = "difference"

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge or node, by 2 + steps runs forward and steps back for each pair."""
        total = zeros(task, len(task.edges))
        for batch in task.batches():
            for step in range(self.steps):
                total += self._gradient(task, batch, step / self.steps)
        return of_edges(task, total / (len(task) * self.steps), self.level)

    def _gradient(self, task: DiscoveryTask, batch: TaskBatch, share: float) -> Float[Tensor, " edges"]:
        """Sums attributions over a batch, with embeddings this far from corrupted to clean."""
        masks = batch.masks(task.edges)
        embeddings = batch.corrupted[:2].lerp(batch.clean[:2], share)
        logits = batch.run(edges=masks, embeddings=embeddings, directions=batch.corrupted - batch.clean)
        return batch.gradient(batch.measured(self.metric, logits), masks)


@dataclass(frozen=True)
class ActivationGradients(Parameters):
    """EAP-IG on activations: for each node, the way is that of its own output alone.

    From Marks et al., "Sparse Feature Circuits" (arXiv 2403.19647); in MIB (arXiv 2504.13151) it is EAP-IG-activations.
    The sender's output is clean + k / steps (replacement - clean) in the runs, k = 1/2 to steps - 1/2. An edge's score
    is the mean of what attribution patching gives it there. The EAP-IG package moves all heads of a layer together, and
    averages every edge over the runs of all senders.

    Attributes:
        level: whether edges or nodes are scored.
        steps: runs on the way, for each node.
        by: what would replace: `resample` (the corrupted run), `mean` or `zero`.
        metric: what is differentiated: `difference`, or `divergence` from the clean run.
    """

    level: Level = "edge"
    steps: int = STEPS
    by: Kind = "resample"
    metric: Metric = "difference"

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge or node, by 2 + nodes * steps runs forward and nodes * steps back for each pair."""
        total = zeros(task, len(task.edges))
        own = [task.edge_senders == place for place in range(len(task.nodes))]
        for batch in task.batches():
            directions = batch.replacement(self.by) - batch.clean
            for place, edges in enumerate(own):
                for step in range(self.steps):
                    nodes = zeros(task, len(task.nodes))
                    nodes[place] = (step + 0.5) / self.steps
                    masks = batch.masks(task.edges)
                    logits = batch.run(edges=masks, nodes=nodes, by=self.by, directions=directions)
                    total += batch.gradient(batch.measured(self.metric, logits), masks) * edges
        return of_edges(task, total / (len(task) * self.steps), self.level)
