"""One batch of pairs as the executor needs it: what components write on the bases, and what may replace it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from siit.certificate.answers import Answers
from siit.certificate.executor import Executor
from siit.certificate.questions import Kind


@dataclass(frozen=True, eq=False)
class Situation:
    """Holds a batch of pairs. Outputs are centred, see `siit.certificate.executor`.

    Attributes:
        executor: runs the model.
        outputs: what each sender writes on the bases.
        replacements: kind -> what replaces that; of one example for all where it depends on none.
        target: the high-level model's answers.
        scored: where these are defined and counted.
        answers: tells when an answer is right.
    """

    executor: Executor
    outputs: Float[Tensor, "batch senders pos d_model"]
    replacements: Mapping[Kind, Float[Tensor, "#batch senders pos d_model"]]
    target: Shaped[Tensor, "batch pos"]
    scored: Bool[Tensor, "batch pos"]
    answers: Answers

    def right(self, final: Float[Tensor, "*runs scored d_model"]) -> Bool[Tensor, "*runs scored"]:
        """Tells where answers are right, of what the unembedding reads at the scored positions."""
        return self.answers.right(self.executor.logits(final), self.target[self.scored].expand(final.shape[:-1]))

    def wrong(
        self, kind: Kind, node_masks: Float[Tensor, "#batch senders"], edge_masks: Float[Tensor, "#batch edges"]
    ) -> Float[Tensor, " batch"]:
        """Counts the scored positions at which answers are wrong, with the parts of these masks replaced."""
        final = self.executor.masked(self.outputs[:, :2], self.replacements[kind], node_masks, edge_masks)
        wrong = final.new_zeros(self.scored.shape)
        wrong[self.scored] = (~self.right(final[self.scored])).to(final)
        return wrong.sum(1)
