"""What methods that train gates have in common: batches, and a loss whose unit does not depend on the task."""

from __future__ import annotations

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from siit.certificate.fields import Kind
from siit.discovery.task import DiscoveryTask, TaskBatch


class GateTraining:
    """Draws batches of a task's pairs, and measures them under masks.

    Args:
        task: whose pairs these are.
        by: kind of replacement.
        batch_size: pairs in a batch.
        seed: of the draws.
    """

    def __init__(self, task: DiscoveryTask, by: Kind, batch_size: int, seed: int) -> None:
        self.task, self.by, self.batch_size = task, by, batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self) -> TaskBatch:
        """Draws a batch."""
        rows = torch.randint(len(self.task), (self.batch_size,), generator=self.generator)
        return self.task.batch(rows)

    def loss(self, batch: TaskBatch, **masks: Float[Tensor, "batch parts"]) -> Float[Tensor, " batch"]:
        """Measures the divergence from the clean run, as a share of that with everything replaced.

        Args:
            batch: the pairs.
            masks: `edges`, `nodes` or both.
        """
        return batch.divergence(batch.run(**masks, by=self.by)) / self._everything

    @cached_property
    @torch.no_grad()
    def _everything(self) -> Float[Tensor, ""]:
        """Measures the mean divergence with every edge replaced."""
        total = sum(
            batch.divergence(batch.run(edges=torch.ones_like(batch.masks(self.task.edges)), by=self.by)).sum()
            for batch in self.task.batches()
        )
        assert isinstance(total, Tensor)
        return (total / len(self.task)).clamp(min=torch.finfo(total.dtype).tiny)
