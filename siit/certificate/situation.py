"""One batch of pairs as the executor needs it: what components write on the bases, and what may replace it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from siit.certificate.answers import Answers
from siit.certificate.executor import Executor


@dataclass(frozen=True, eq=False)
class Situation:
    """Holds a batch of pairs. Outputs are centred, see `siit.certificate.executor`.

    Attributes:
        executor: runs the model.
        outputs: what each sender writes on the bases.
        replacement: what replaces that; one example stands for all where it depends on none.
        target: the high-level model's answers.
        scored: where these are defined and counted.
        pairs: how many pairs of the evidence each example stands for.
        answers: tells when an answer is right.
    """

    executor: Executor
    outputs: Float[Tensor, "senders batch pos d_model"]
    replacement: Float[Tensor, "senders #batch pos d_model"]
    target: Shaped[Tensor, "batch pos"]
    scored: Bool[Tensor, "batch pos"]
    pairs: Float[Tensor, " batch"]
    answers: Answers

    @cached_property
    def weights(self) -> Float[Tensor, " scored"]:
        """How many pairs each scored position stands for."""
        return self.pairs.unsqueeze(1).expand(self.scored.shape)[self.scored]

    @property
    def positions(self) -> int:
        """Scored positions, those of every pair."""
        return int(self.weights.sum())

    def measure(self, final: Float[Tensor, "*runs scored d_model"]) -> Float[Tensor, "*runs"]:
        """Counts the scored positions with a right answer, of what the unembedding reads there."""
        right = self.answers.right(self.executor.logits(final), self.target[self.scored].expand(final.shape[:-1]))
        return right.to(final) @ self.weights

    @torch.no_grad()
    def right_under(
        self, edges: Bool[Tensor, "subsets edges"], nodes: Bool[Tensor, "subsets senders"]
    ) -> Float[Tensor, " subsets"]:
        """Counts them with the parts of a subset replaced in all examples, for each of some subsets in one run."""
        subsets, batch = len(edges), self.outputs.shape[1]
        outputs, replacement, edge_masks, node_masks = self.outputs, self.replacement, edges[0], nodes[0]
        if subsets > 1:
            outputs = outputs.repeat(1, subsets, 1, 1)
            replacement = replacement.repeat(1, subsets if replacement.shape[1] > 1 else 1, 1, 1)
            edge_masks, node_masks = edges.repeat_interleave(batch, 0), nodes.repeat_interleave(batch, 0).mT
        replaced = nodes[0].tolist() if subsets == 1 else None
        final = self.executor.masked(
            outputs[:2], replacement, edge_masks.to(outputs), node_masks.to(outputs), replaced=replaced
        )
        return self.measure(final.unflatten(0, (subsets, batch))[:, self.scored])
