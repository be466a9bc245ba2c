"""What is measured of answers: how far they are from the corrupted run's, and how far from the clean run's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from siit.certificate.answers import Output

Metric = Literal["difference", "divergence"]


@dataclass(frozen=True, eq=False)
class Readout:
    """Measures logits at scored places.

    Attributes:
        output: `categorical` or `numerical`.
        target: the right answers.
        foil: for classes the other answer, for numbers the side on which the right one is: 1 or -1.
        clean: logits of the clean run.
    """

    output: Output
    target: Shaped[Tensor, " scored"]
    foil: Shaped[Tensor, " scored"]
    clean: Float[Tensor, "scored d_vocab_out"]

    @classmethod
    def between(
        cls,
        output: Output,
        target: Shaped[Tensor, " scored"],
        clean: Float[Tensor, "scored d_vocab_out"],
        corrupted: Float[Tensor, "scored d_vocab_out"],
    ) -> Readout:
        """Makes what tells two runs apart.

        The foil is the class, of all but the right one, that the corrupted run favours. Where it answers otherwise,
        that is its answer.

        Args:
            output: `categorical` or `numerical`.
            target: the right answers.
            clean, corrupted: logits of both runs.
        """
        if output == "numerical":
            foil = torch.where(target < corrupted[:, 0], -1.0, 1.0).to(clean)
        else:
            foil = corrupted.scatter(1, target.unsqueeze(1), -torch.inf).argmax(1)
        return cls(output, target, foil, clean.detach())

    def difference(self, logits: Float[Tensor, "*any scored d_vocab_out"]) -> Float[Tensor, "*any scored"]:
        """Measures the right answer's logit less the foil's; of numbers, how far they are from the corrupted run's.

        The latter has a sign, and leaves out a constant: higher is nearer to the right answer. So neither has a
        gradient of zero at the clean run, as a squared error to the clean answer would have.
        """
        if self.output == "numerical":
            return logits[..., 0] * self.foil
        right, other = (
            logits.gather(-1, ids.expand(logits.shape[:-1]).unsqueeze(-1)) for ids in (self.target, self.foil)
        )
        return (right - other).squeeze(-1)

    def divergence(self, logits: Float[Tensor, "*any scored d_vocab_out"]) -> Float[Tensor, "*any scored"]:
        """Measures the Kullback-Leibler divergence from the clean run, in nats; of numbers, the squared difference."""
        if self.output == "numerical":
            return (logits[..., 0] - self.clean[..., 0]).square()
        clean = self.clean.log_softmax(-1)
        return (clean.exp() * (clean - logits.log_softmax(-1))).sum(-1)

    def measured(
        self, metric: Metric, logits: Float[Tensor, "*any scored d_vocab_out"]
    ) -> Float[Tensor, "*any scored"]:
        """Measures either by its name."""
        return self.difference(logits) if metric == "difference" else self.divergence(logits)

    def repeated(self, times: int) -> Readout:
        """Repeats all places."""
        return Readout(self.output, self.target.repeat(times), self.foil.repeat(times), self.clean.repeat(times, 1))
