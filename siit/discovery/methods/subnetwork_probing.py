"""Subnetwork probing: gates are trained to keep the answers with as few parts as possible."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siit.certificate.fields import Kind
from siit.discovery.method import Parameters, by_name, parts
from siit.discovery.methods import _hard_concrete
from siit.discovery.methods._gate_training import GateTraining
from siit.discovery.task import DiscoveryTask, Level


@dataclass(frozen=True)
class SubnetworkProbing(Parameters):
    """Subnetwork probing (Cao, Sanh, Rush, arXiv 2104.03514, section 3), with gates on edges or nodes.

    The loss is the divergence from the clean run, as a share of that with everything replaced. `sparsity` times the
    expected share of open gates is added. A score is the logarithm of the probability that a part's gate is open. The
    paper's gates are on weights; on a model's nodes they are ACDC's comparison (arXiv 2304.14997, section 4).

    Attributes:
        level: whether edges or nodes have gates.
        sparsity: the weight of open gates.
        by: what replaces where a gate is closed: `resample` (the corrupted run), `mean` or `zero`.
        steps: of training.
        batch_size: pairs in a step, each with gates of its own.
        learning_rate: of Adam.
        seed: of batches and gates.
    """

    level: Level = "edge"
    sparsity: float = 1.0
    by: Kind = "resample"
    steps: int = 300
    batch_size: int = 64
    learning_rate: float = 0.1
    seed: int = 0

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge or node."""
        names = parts(task, self.level)
        training = GateTraining(task, self.by, self.batch_size, self.seed)
        log_alpha = _hard_concrete.started(task, len(names))
        optimizer = torch.optim.Adam([log_alpha], lr=self.learning_rate)
        for _ in range(self.steps):
            batch = training.batch()
            gates = _hard_concrete.drawn(log_alpha, len(batch), training.generator)
            kept = _hard_concrete.open_log_probability(log_alpha).exp().mean()
            loss = training.loss(batch, **{f"{self.level}s": 1 - gates}) + self.sparsity * kept
            log_alpha.grad = batch.gradient(loss, log_alpha) / len(batch)
            optimizer.step()
        return by_name(names, _hard_concrete.open_log_probability(log_alpha.detach()))
