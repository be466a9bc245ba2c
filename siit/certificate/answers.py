"""Answers: what a model's logits say, when that is right, and when two answers differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

Output = Literal["categorical", "numerical"]
OUTPUTS: tuple[Output, ...] = ("categorical", "numerical")


@dataclass(frozen=True)
class Answers:
    """How outputs are read and compared.

    Attributes:
        output: `categorical`: the answer is the class of the greatest logit; `numerical`: the one logit is the answer.
        tolerance: numerical answers further apart than this differ; None where answers are classes. It is at most half
            the gap between two outputs that inputs give at a position. Interchanges can lead to others, nearer to
            each other: such a change counts as none.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """

    output: Output
    tolerance: float | None

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise ValueError(f"output: found {self.output!r}, accepted: {', '.join(map(repr, OUTPUTS))}")
        if self.output == "categorical" and self.tolerance is not None:
            raise ValueError(f"tolerance: found {self.tolerance!r}, accepted is None where outputs are classes")
        if self.output == "numerical" and not (self.tolerance is not None and 0 < self.tolerance < float("inf")):
            raise ValueError(
                f"tolerance: found {self.tolerance!r}, accepted is a positive number for numerical outputs"
            )

    def of(self, logits: Float[Tensor, "*pos d_vocab_out"]) -> Shaped[Tensor, "*pos"]:
        """Reads the model's answers: class ids, -1 where a logit is not finite, or numbers."""
        if self.tolerance is not None:
            return logits[..., 0]
        return torch.where(logits.isfinite().all(-1), logits.argmax(-1), -1)

    def same(self, one: Shaped[Tensor, "*pos"], other: Shaped[Tensor, "*pos"]) -> Bool[Tensor, "*pos"]:
        """Tells where two answers agree: the same class, or numbers within the tolerance; NaN agrees with nothing."""
        if self.tolerance is None:
            return one == other
        return (one - other).abs() <= self.tolerance

    def right(self, logits: Float[Tensor, "*pos d_vocab_out"], target: Shaped[Tensor, "*pos"]) -> Bool[Tensor, "*pos"]:
        """Tells where the model's answer is the target."""
        return self.same(self.of(logits), target)

    def logit_change(
        self, logits: Float[Tensor, "*pos d_vocab_out"], others: Float[Tensor, "*pos d_vocab_out"]
    ) -> Float[Tensor, "*pos"]:
        """Mean absolute difference of logits; those of classes are centred, for their mean decides nothing."""
        change = logits - others
        if self.output == "categorical":
            change = change - change.mean(-1, keepdim=True)
        return change.abs().mean(-1)
