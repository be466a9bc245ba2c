"""Draws the pairs to train on: half as the data is, half for rare values of what is interchanged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from siit._constants import constant
from siit.causal import OUTPUT
from siit.interchange import Pairs, PairSampler
from siit.tasks.pairs import ProgramPairSampler


class TrainingPairSampler:
    """Draws pairs for interchanges that are drawn before them.

    An interchange puts a value of the source beside values of the base. Where both are rare, training would hardly ever
    see them together, though the certificate does. So in half of the pairs the source is weighed by the values of what
    is interchanged. Their bases are weighed by the values of any variable, or by their answers.

    Args:
        own: draws as the data is, and its pairs are fresh.
        rare: draws by values, on the same device; None: all pairs are the data's.
    """

    def __init__(self, own: PairSampler, rare: ProgramPairSampler | None = None) -> None:
        self.own, self.rare = own, rare

    @property
    def device(self) -> torch.device:
        """Where pairs are drawn and live."""
        return self.own.device

    def draw(self, choice: Int[Tensor, " batch"], varied: Sequence[str], generator: torch.Generator) -> Pairs:
        """Draws a pair for each interchange.

        Args:
            choice: each pair's interchange; 0 for none, i + 1 for the i-th.
            varied: per interchange, the variable of which the source is to bring rare values.
            generator: of the draw, on the sampler's device.
        """
        count, device = len(choice), self.device
        own = self.own.draw(count, generator)
        if self.rare is None:
            return own
        names = self.rare.weightings
        places = tuple(names.index(name) for name in (OUTPUT, *varied))
        by_source = constant(places, torch.int64, device)[choice]
        any_value = torch.randint(len(names), (count,), device=device, generator=generator)
        other = self.rare.draw_weighed(torch.where(choice == 0, by_source, any_value), by_source, generator)
        return own.replaced(torch.rand(count, device=device, generator=generator) >= 0.5, other)
