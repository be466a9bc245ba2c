"""Mean ablation: how many answers stay right with one node's outputs replaced by their mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.certificate import Answers
from siit.certificate.executor import Executor
from siit.certificate.single_parts import alone
from siit.discovery import DiscoveryTask, TaskBatch


@torch.no_grad()
def right_without(task: DiscoveryTask, answers: Answers) -> dict[str, float]:
    """Replaces each embedding, head and MLP alone by the mean of its outputs at each position.

    Args:
        task: a model and its inputs; means are over the corrupted ones.
        answers: when an answer is right.

    Returns:
        Node -> the share of the scored answers that are right without it.
    """
    right = torch.zeros(len(task.nodes), device=task.device)
    none = torch.zeros(len(task.edges), dtype=torch.bool, device=task.device)
    for batch in task.batches():
        right += alone(_Counted(batch, answers), torch.ones_like(right, dtype=torch.bool), none).nodes
    return dict(zip(task.nodes, (right / task.scored.sum()).tolist(), strict=True))


@torch.no_grad()
def right_whole(task: DiscoveryTask, answers: Answers) -> float:
    """Finds the share of the scored answers that are right.

    Args:
        task: a model and its inputs.
        answers: when an answer is right.
    """
    found = [answers.right(batch.readout.clean, batch.readout.target) for batch in task.batches()]
    return float(torch.cat(found).double().mean())


@dataclass(frozen=True, eq=False)
class _Counted:
    """A batch as `siit.certificate.single_parts` takes it: right answers are counted."""

    batch: TaskBatch
    answers: Answers

    @property
    def executor(self) -> Executor:
        return self.batch.task.executor

    @property
    def outputs(self) -> Float[Tensor, "senders batch pos d_model"]:
        return self.batch.clean

    @property
    def replacement(self) -> Float[Tensor, "senders #batch pos d_model"]:
        return self.batch.replacement("mean")

    @property
    def scored(self) -> Bool[Tensor, "batch pos"]:
        return self.batch.scored

    def measure(self, final: Float[Tensor, "*runs scored d_model"]) -> Float[Tensor, "*runs"]:
        """Counts right answers."""
        logits = self.executor.logits(final)
        target = self.batch.readout.target.expand(logits.shape[:-1])
        return self.answers.right(logits, target).sum(-1).to(final)
