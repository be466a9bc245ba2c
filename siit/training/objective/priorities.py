"""Priorities: interventions that still go wrong are drawn more often."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

MEMORY = 0.95
"""How much of a running error is kept at each step."""
FLOOR = 1e-4
"""Least running error: what has gone right for long is still drawn."""


@dataclass(frozen=True, eq=False)
class Priorities:
    """Running errors, shares of wrong positions, and how much they weigh.

    Attributes:
        share: of the draws that follow the errors; the others follow the probabilities of the configuration.
        interchanges: of each interchange.
        singles: of each off-circuit part replaced alone, and of all together, [part + 1, ablation].
    """

    share: float
    interchanges: Float[Tensor, " exchange"]
    singles: Float[Tensor, "singles ablation"]


def prioritised(chances: Tensor, error: Tensor, share: float) -> Tensor:
    """Chances of which `share` follows the error; what has no chance gets none, and the sum stays."""
    weighed = torch.where(chances > 0, error, 0.0)
    scale = chances.sum() / weighed.sum().clamp(min=torch.finfo(weighed.dtype).tiny)
    return (1 - share) * chances + share * weighed * scale


class RunningErrors(nn.Module):
    """Keeps the running errors of a run; part of its checkpoint.

    Args:
        n_interchanges: units and high-level edges.
        n_parts: off-circuit nodes and edges.
        n_ablations: of replacement.
    """

    interchanges: Tensor
    singles: Tensor

    def __init__(self, n_interchanges: int, n_parts: int, n_ablations: int) -> None:
        super().__init__()
        self.register_buffer("interchanges", torch.ones(n_interchanges))
        self.register_buffer("singles", torch.ones(n_parts + 1, n_ablations))

    def priorities(self, share: float) -> Priorities:
        """What the next draw follows."""
        return Priorities(share, self.interchanges, self.singles)

    @torch.no_grad()
    def note(
        self,
        choice: Int[Tensor, " batch"],
        single: Int[Tensor, " batch"],
        wrong: Int[Tensor, " batch"],
        scored: Int[Tensor, " batch"],
    ) -> None:
        """Blends in a step's outcome.

        Args:
            choice: interchange of each example, numbered from 1; 0 for none.
            single: index into the flattened `singles` of the part that is replaced, -1 for none.
            wrong, scored: how many positions are wrong, and how many there are.
        """
        _blend(self.interchanges, choice - 1, wrong, scored)
        _blend(self.singles.view(-1), single, wrong, scored)


def _blend(error: Tensor, index: Tensor, wrong: Tensor, scored: Tensor) -> None:
    """In place: each error moves towards the step's share of wrong positions; index -1 counts for nothing."""
    zeros = error.new_zeros(len(error) + 1)  # the last is that of index -1
    index = index % len(zeros)
    count = zeros.index_add(0, index, scored.to(error.dtype))[:-1]
    rate = zeros.index_add(0, index, wrong.to(error.dtype))[:-1] / count.clamp(min=1)
    error.copy_(torch.where(count > 0, error.lerp(rate, 1 - MEMORY).clamp(min=FLOOR), error))
