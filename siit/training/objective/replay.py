"""Replays pairs that the model got wrong, with the interchange under which they were wrong.

The worst case rests on what is rare: a long sentence with a short source, a large count, positions permuted in one way
of many. The optimiser sees it least.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from siit.interchange import Pairs
from siit.training.objective.interventions import Drawn

CAPACITY = 256
"""Pairs that are kept; a new one takes the place of the oldest."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """A batch of which some pairs are replayed, with the interchanges under which these were wrong.

    Attributes:
        pairs: new and replayed ones.
        again: which are replayed.
        choice: the interchange of each replayed pair, as `siit.interchange.interventions` numbers them.
        source_positions: position ids of each replayed pair's source run.
    """

    pairs: Pairs
    again: Bool[Tensor, " batch"]
    choice: Int[Tensor, " batch"]
    source_positions: Int[Tensor, "batch pos"]

    def interchanged_again(self, drawn: Drawn) -> Drawn:
        """Gives each replayed pair the interchange under which it was wrong.

        Args:
            drawn: interventions drawn anew for all pairs; new pairs keep theirs.
        """
        return dataclasses.replace(
            drawn,
            choice=torch.where(self.again, self.choice, drawn.choice),
            source_positions=torch.where(self.again.unsqueeze(1), self.source_positions, drawn.source_positions),
        )


class ReplayBuffer(nn.Module):
    """Keeps the latest pairs that a run got wrong; part of its checkpoint.

    Args:
        positions: of an input.
    """

    inputs: Tensor
    interchangeable: Tensor
    choice: Tensor
    source_positions: Tensor
    added: Tensor

    def __init__(self, positions: int) -> None:
        super().__init__()
        # One row more than are kept: pairs that were right are written there, so that no shape depends on the data.
        self.register_buffer("inputs", torch.zeros(2, CAPACITY + 1, positions, dtype=torch.int64))
        self.register_buffer("interchangeable", torch.zeros(CAPACITY + 1, dtype=torch.bool))
        self.register_buffer("choice", torch.zeros(CAPACITY + 1, dtype=torch.int64))
        self.register_buffer("source_positions", torch.zeros(CAPACITY + 1, positions, dtype=torch.int64))
        self.register_buffer("added", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def replay(self, pairs: Pairs, share: float, generator: torch.Generator) -> Replayed:
        """Replaces some new pairs by kept ones; none as long as none is kept.

        Args:
            pairs: new ones.
            share: probability that a pair is replaced.
            generator: on the pairs' device.
        """
        chance, place = torch.rand(2, len(pairs), device=generator.device, generator=generator)
        again = (chance < share) & (self.added > 0)
        row = (place * self.added.clamp(max=CAPACITY)).long()
        kept = Pairs(self.inputs[0], self.inputs[1], self.interchangeable)
        return Replayed(pairs.replaced(again, kept, row), again, self.choice[row], self.source_positions[row])

    @torch.no_grad()
    def add(self, pairs: Pairs, drawn: Drawn, wrong: Bool[Tensor, " batch"]) -> None:
        """Keeps the wrong ones of a step's pairs, with their interchanges; never waits for the device.

        Args:
            pairs: of the step.
            drawn: their interventions.
            wrong: which pairs have a wrong answer.
        """
        order = wrong.cumsum(0)
        # Of more than are kept the last ones: a row that is written twice holds anything, on a GPU.
        kept = wrong & (order > order[-1] - CAPACITY)
        row = torch.where(kept, (self.added + order - 1) % CAPACITY, CAPACITY)
        self.inputs[:, row] = torch.stack([pairs.base, pairs.source])
        self.interchangeable[row] = True if pairs.interchangeable is None else pairs.interchangeable
        self.choice[row], self.source_positions[row] = drawn.choice, drawn.source_positions
        self.added += wrong.sum()
