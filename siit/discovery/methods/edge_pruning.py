"""Edge pruning: gates on edges and on the nodes that send are trained towards a given share of pruned edges."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siit.certificate.fields import Kind
from siit.discovery.method import Parameters, by_name, zeros
from siit.discovery.methods import _hard_concrete
from siit.discovery.methods._gate_training import GateTraining
from siit.discovery.task import DiscoveryTask


@dataclass(frozen=True)
class EdgePruning(Parameters):
    """Edge pruning (Bhaskar, Wettig, Friedman, Chen, arXiv 2406.16778, section 3).

    An edge is kept where its own gate and that of its sender are open. The loss is the divergence from the clean run,
    as a share of that with everything replaced. A Lagrangian term l1 (t - s) + l2 (t - s)^2 is added. Here s is the
    expected share of pruned edges. t rises to `target` over the first `warm_up` of the steps, and l1 and l2 are trained
    to raise the term. The authors' code has a second such term, of nodes; here their gates are
    pruned through edges alone. A score is the logarithm of the probability that an edge is kept.

    Attributes:
        target: the share of edges to prune.
        warm_up: the share of steps until it is aimed at.
        by: what replaces a pruned edge's term: `resample` (the corrupted run) as in the paper, `mean` or `zero`.
        steps: of training.
        batch_size: pairs in a step, each with gates of its own.
        learning_rate: of Adam, for gates.
        multiplier_rate: of Adam, for the Lagrangian's multipliers.
        seed: of batches and gates.
    """

    target: float = 0.95
    warm_up: float = 0.7
    by: Kind = "resample"
    steps: int = 300
    batch_size: int = 64
    learning_rate: float = 0.1
    multiplier_rate: float = 0.1
    seed: int = 0

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge."""
        training = GateTraining(task, self.by, self.batch_size, self.seed)
        edges, nodes = (_hard_concrete.started(task, len(names)) for names in (task.edges, task.nodes))
        multipliers = zeros(task, 2).requires_grad_()
        optimizer = torch.optim.Adam([edges, nodes], lr=self.learning_rate)
        ascent = torch.optim.Adam([multipliers], lr=self.multiplier_rate, maximize=True)
        for step in range(self.steps):
            target = self.target * min(1.0, step / max(1, round(self.warm_up * self.steps)))
            batch = training.batch()
            own, senders = (_hard_concrete.drawn(gates, len(batch), training.generator) for gates in (edges, nodes))
            loss = training.loss(batch, edges=1 - own * senders[:, task.edge_senders])
            missing = target - (1 - _kept(task, edges, nodes).exp().mean())
            loss = loss + multipliers[0] * missing + multipliers[1] * missing.square()
            parameters = [edges, nodes, multipliers]
            for parameter, gradient in zip(parameters, batch.gradients(loss, parameters), strict=True):
                parameter.grad = gradient / len(batch)
            optimizer.step()
            ascent.step()
        return by_name(task.edges, _kept(task, edges.detach(), nodes.detach()))


def _kept(task: DiscoveryTask, edges: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
    """Computes the logarithm of the probability that both gates of each edge are open."""
    own, senders = (_hard_concrete.open_log_probability(gates) for gates in (edges, nodes))
    return own + senders[task.edge_senders]
