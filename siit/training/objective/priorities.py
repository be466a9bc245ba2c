"""Prioritised sampling: draws interventions that still go wrong more often.

As prioritised experience replay does with transitions (Schaul et al., arXiv 1511.05952).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

MEMORY = 0.95
"""Decay of a running error at each step that counts for it."""
FLOOR = 1e-4
"""Least running error: what has been right for long is still drawn."""


@dataclass(frozen=True, eq=False)
class Priorities:
    """Running errors (shares of wrong positions), and how many of the draws follow them.

    Attributes:
        share: of the draws that follow the errors; the others follow the probabilities of the configuration.
        interchanges: each interchange's running error.
        singles: that of each off-circuit part replaced alone, and of all together in the last row; by ablation.
    """

    share: float
    interchanges: Float[Tensor, " interchange"]
    singles: Float[Tensor, "singles ablation"]


def prioritised(
    chances: Float[Tensor, "*choice"], error: Float[Tensor, "*choice"], share: float
) -> Float[Tensor, "*choice"]:
    """Mixes chances with ones in proportion to the error; their sum stays.

    Args:
        chances: of each choice; one whose chance is 0 keeps it.
        error: of each choice.
        share: of the mixture that follows the error.
    """
    weighed = torch.where(chances > 0, error, 0.0)
    scale = chances.sum() / weighed.sum().clamp(min=torch.finfo(weighed.dtype).tiny)
    return (1 - share) * chances + share * weighed * scale


class RunningErrors(nn.Module):
    """Keeps the running errors of a run; part of its checkpoint.

    Args:
        n_interchanges: units and high-level edges.
        n_parts: off-circuit nodes and edges.
        n_ablations: ways to replace a part.
    """

    interchanges: Tensor
    singles: Tensor

    def __init__(self, n_interchanges: int, n_parts: int, n_ablations: int) -> None:
        super().__init__()
        self.register_buffer("interchanges", torch.ones(n_interchanges))
        self.register_buffer("singles", torch.ones(n_parts + 1, n_ablations))

    def priorities(self, share: float) -> Priorities:
        """Wraps the running errors for the next draw.

        Args:
            share: of the draws that follow them.
        """
        return Priorities(share, self.interchanges, self.singles)

    @torch.no_grad()
    def update(
        self,
        choice: Int[Tensor, " batch"],
        single: Int[Tensor, " batch"],
        wrong: Int[Tensor, " batch"],
        scored: Int[Tensor, " batch"],
    ) -> None:
        """Moves the running errors towards a step's outcome.

        Args:
            choice: each example's interchange, numbered from 1; 0 for none.
            single: the part that is replaced alone, as an index into the flattened `singles`; -1 for none.
            wrong: how many scored positions of each example are wrong.
            scored: how many positions of each example are scored.
        """
        _blend(self.interchanges, choice - 1, wrong, scored)
        _blend(self.singles.view(-1), single, wrong, scored)


def _blend(error: Tensor, index: Tensor, wrong: Tensor, scored: Tensor) -> None:
    """Moves errors, in place, towards the step's shares of wrong positions; index -1 counts for nothing."""
    zeros = error.new_zeros(len(error) + 1)  # the last is that of index -1
    index = index % len(zeros)
    count = zeros.index_add(0, index, scored.to(error.dtype))[:-1]
    rate = zeros.index_add(0, index, wrong.to(error.dtype))[:-1] / count.clamp(min=1)
    error.copy_(torch.where(count > 0, error.lerp(rate, 1 - MEMORY).clamp(min=FLOOR), error))
