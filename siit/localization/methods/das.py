"""Distributed alignment search: a rotation is learned after which the first directions can be interchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from siit.discovery.method import Parameters, by_name
from siit.localization.task import VariableBatch, VariableTask


@dataclass(frozen=True)
class DistributedAlignmentSearch(Parameters):
    """Distributed alignment search (DAS; Geiger et al., arXiv 2303.02536, section 3).

    What a node writes on the base, turned by an orthogonal matrix, gets its first `directions` entries from the source,
    and is turned back. Of the matrix only the columns that span these directions matter, so these alone are trained:
    towards the causal model's answers, with the variable interchanged. A node has one matrix for all positions, since
    one set of weights writes there. All nodes are trained beside each other, each for itself.

    The paper begins with a random matrix. This begins with the principal directions of what a node writes on the
    source less what it writes on the base. Where training ends with a greater loss on the training pairs, these stay.

    A score is the interchange intervention accuracy on the held-out pairs.

    Attributes:
        directions: how many are interchanged; all of them where the model has no more.
        steps: of training.
        batch_size: pairs in a step.
        learning_rate: of Adam; it falls linearly.
        seed: of the batches.
    """

    directions: int = 16
    steps: int = 60
    batch_size: int = 16
    learning_rate: float = 0.01
    seed: int = 0

    def __call__(self, task: VariableTask) -> dict[str, float]:
        """Scores every node."""
        basis = self.trained(task)
        return by_name(task.nodes, task.iia(lambda batch: projected(batch.differences, basis)))

    def trained(self, task: VariableTask) -> Float[Tensor, "senders d_model directions"]:
        """Trains the directions of every node: orthonormal columns."""
        start = self._started(task)
        spans = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([spans], lr=self.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / self.steps)
        for batch in self._batches(task):
            logits = batch.changed(projected(batch.differences, orthonormal(spans)))
            (spans.grad,) = torch.autograd.grad(batch.loss(logits).sum(), [spans])
            task.passes.backward += len(task.nodes) * len(batch)
            optimizer.step()
            schedule.step()
        end = orthonormal(spans.detach())
        better = _loss(task, end) < _loss(task, start)
        return torch.where(better.view(-1, 1, 1), end, start)

    def _started(self, task: VariableTask) -> Float[Tensor, "senders d_model directions"]:
        """Finds the principal directions of the differences between source and base."""
        total = sum(moments(batch.differences) for batch in task.batches(task.train))
        assert isinstance(total, Tensor)
        return torch.linalg.eigh(total).eigenvectors.flip(-1)[..., : self.directions].to(task.model.embed.W_E)

    def _batches(self, task: VariableTask) -> Iterator[VariableBatch]:
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.steps):
            yield task.batch(task.train, torch.randint(len(task.train), (self.batch_size,), generator=generator))


@torch.no_grad()
def _loss(task: VariableTask, basis: Float[Tensor, "senders d_model directions"]) -> Float[Tensor, " senders"]:
    """Measures the mean loss on all training pairs."""
    found = [
        (batch.loss(batch.changed(projected(batch.differences, basis))), len(batch.places))
        for batch in task.batches(task.train)
    ]
    return torch.stack([loss * places for loss, places in found]).sum(0) / sum(places for _, places in found)


def moments(rows: Float[Tensor, "senders batch pos d_model"]) -> Float[Tensor, "senders d_model d_model"]:
    """Sums the outer products of what nodes write, over examples and positions, in double precision."""
    flat = rows.flatten(1, 2).double()
    return flat.mT @ flat


def orthonormal(spans: Float[Tensor, "senders d_model directions"]) -> Float[Tensor, "senders d_model directions"]:
    """Makes columns orthonormal, that span the same."""
    return torch.linalg.qr(spans).Q


def projected(
    rows: Float[Tensor, "senders batch pos d_model"], basis: Float[Tensor, "senders d_model directions"]
) -> Float[Tensor, "senders batch pos d_model"]:
    """Projects what nodes write onto the span of orthonormal directions."""
    flat = rows.flatten(1, 2)
    return (flat @ basis @ basis.mT).view_as(rows)
