"""Replay: pairs that the model got wrong take part in later steps again, with their interchange or one drawn anew.

What is rare among the pairs (a long sentence with a short source, a large count) is what the worst case rests on, and
what the optimiser sees least.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from siit.interchange import Pairs

if TYPE_CHECKING:
    from siit.training.objective.objective import Drawn

CAPACITY = 256
"""Pairs that are kept; a new mistake takes the place of the oldest."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """Pairs with the interchanges under which those that are not fresh went wrong.

    Attributes:
        pairs: fresh ones and mistakes.
        choice: the interchange of each mistake, as `siit.interchange.interventions` numbers them.
        source_positions: position ids of its source.
    """

    pairs: Pairs
    choice: Int[Tensor, " batch"]
    source_positions: Int[Tensor, "batch pos"]

    def interchanged_again(self, drawn: Drawn) -> Drawn:
        """The drawn interventions, with the interchange of each mistake in the stead of the drawn one."""
        fresh = self.pairs.fresh
        assert fresh is not None
        return dataclasses.replace(
            drawn,
            choice=torch.where(fresh, drawn.choice, self.choice),
            source_positions=torch.where(fresh.unsqueeze(1), drawn.source_positions, self.source_positions),
        )


class ReplayBuffer(nn.Module):
    """The latest pairs that went wrong in a run; part of its checkpoint.

    Args:
        positions: of an input.
    """

    inputs: Tensor
    interchangeable: Tensor
    choice: Tensor
    source_positions: Tensor
    noted: Tensor

    def __init__(self, positions: int) -> None:
        super().__init__()
        # One more row than are kept: where pairs go that were right.
        self.register_buffer("inputs", torch.zeros(2, CAPACITY + 1, positions, dtype=torch.int64))
        self.register_buffer("interchangeable", torch.zeros(CAPACITY + 1, dtype=torch.bool))
        self.register_buffer("choice", torch.zeros(CAPACITY + 1, dtype=torch.int64))
        self.register_buffer("source_positions", torch.zeros(CAPACITY + 1, positions, dtype=torch.int64))
        self.register_buffer("noted", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def replay(self, pairs: Pairs, share: float, generator: torch.Generator) -> Replayed:
        """The pairs, each with probability `share` a mistake in its stead, as long as there has been one."""
        chance, place = torch.rand(2, len(pairs), device=generator.device, generator=generator)
        fresh = (chance >= share) | (self.noted == 0)
        row = (place * self.noted.clamp(max=CAPACITY)).long()
        interchangeable = torch.ones_like(fresh) if pairs.interchangeable is None else pairs.interchangeable
        base, source = (
            torch.where(fresh.unsqueeze(1), new, old[row])
            for new, old in zip((pairs.base, pairs.source), self.inputs, strict=True)
        )
        replayed = Pairs(base, source, torch.where(fresh, interchangeable, self.interchangeable[row]), fresh)
        return Replayed(replayed, self.choice[row], self.source_positions[row])

    @torch.no_grad()
    def note(self, pairs: Pairs, drawn: Drawn, wrong: Bool[Tensor, " batch"]) -> None:
        """Keeps the pairs that are wrong, with their interchanges; never waits for the device."""
        row = torch.where(wrong, (self.noted + wrong.cumsum(0) - 1) % CAPACITY, CAPACITY)
        self.inputs[:, row] = torch.stack([pairs.base, pairs.source])
        self.interchangeable[row] = True if pairs.interchangeable is None else pairs.interchangeable
        self.choice[row], self.source_positions[row] = drawn.choice, drawn.source_positions
        self.noted += wrong.sum()
