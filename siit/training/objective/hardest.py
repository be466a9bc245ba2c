"""Picks the hardest of many candidates: online hard example mining (Shrivastava et al., arXiv 1604.03540).

The certificate gates on errors that are rare: one pair in a thousand, under one interchange. A batch of new pairs holds
none of these at most steps, and what it holds is learned already. To answer pairs costs a third of learning from them.
So more are answered than are learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.interchange import Pairs
from siit.training.objective.interventions import Drawn

SHARE = 0.5
"""Of the new pairs of a batch, those whose places the hardest candidates take. The others stand for the data."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs that were answered, and how wrongly.

    Attributes:
        pairs: as they were drawn.
        drawn: their interventions.
        loss: of each pair, the largest of its positions.
    """

    pairs: Pairs
    drawn: Drawn
    loss: Float[Tensor, " candidate"]

    @torch.no_grad()
    def replace(
        self, pairs: Pairs, drawn: Drawn, replaceable: Bool[Tensor, " batch"], generator: torch.Generator
    ) -> tuple[Pairs, Drawn]:
        """Puts the hardest candidates into a share of a batch, the hardest first; never waits for the device.

        Args:
            pairs: of the batch.
            drawn: their interventions.
            replaceable: which of them may make room; with fewer candidates than places, the last ones stay.
            generator: chooses the places, on the pairs' device.
        """
        chance = torch.rand(len(pairs), device=generator.device, generator=generator)
        place = replaceable & (chance < SHARE)
        rank = place.cumsum(0) - 1
        place = place & (rank < len(self.loss))
        row = self.loss.argsort(descending=True)[rank.clamp(min=0, max=len(self.loss) - 1)]
        return pairs.replaced(place, self.pairs, row), drawn.replaced(place, self.drawn, row)
