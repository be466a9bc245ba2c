"""Holds pairs of a base and a source input, and permutes the positions of sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pairs:
    """Base and source inputs.

    Attributes:
        base: the inputs that are run under interventions.
        source: the inputs whose activations replace the base's.
        interchangeable: in which pairs the source can take part in an interchange; in the others it only replaces what
            is off the circuit. None: in all.
        fresh: which pairs are drawn anew and stand for the data, rather than replayed, drawn for their rare values, or
            picked as the hardest. None: all.
    """

    base: Int[Tensor, "batch pos"]
    source: Int[Tensor, "batch pos"]
    interchangeable: Bool[Tensor, " batch"] | None = None
    fresh: Bool[Tensor, " batch"] | None = None

    def __len__(self) -> int:
        return len(self.base)

    def replaced(self, place: Bool[Tensor, " batch"], by: Pairs, row: Int[Tensor, " batch"] | None = None) -> Pairs:
        """Replaces some pairs by others, which are not fresh.

        Args:
            place: which ones.
            by: the others; their `fresh` is ignored.
            row: for each place, which of these takes it; None: the one of the same place.
        """

        def mixed(own: Tensor, other: Tensor) -> Tensor:
            other = other if row is None else other[row]
            return torch.where(place if own.dim() == 1 else place.unsqueeze(1), other, own)

        interchangeable = None
        if self.interchangeable is not None or by.interchangeable is not None:
            interchangeable = mixed(_or_all(self.interchangeable, self), _or_all(by.interchangeable, by))
        base, source = mixed(self.base, by.base), mixed(self.source, by.source)
        return Pairs(base, source, interchangeable, _or_all(self.fresh, self) & ~place)


def _or_all(flags: Bool[Tensor, " batch"] | None, pairs: Pairs) -> Bool[Tensor, " batch"]:
    """Gives flags as they are, or one that is set for each pair where they are None."""
    return torch.ones(len(pairs), dtype=torch.bool, device=pairs.base.device) if flags is None else flags


@runtime_checkable
class PairSampler(Protocol):
    """Draws pairs of one split, on one device."""

    @property
    def device(self) -> torch.device:
        """Where pairs are drawn and live."""

    def draw(self, count: int, generator: torch.Generator) -> Pairs:
        """Draws pairs.

        Args:
            count: how many.
            generator: of the draw, on the sampler's device.

        Returns:
            Pairs of the split, with `base` and `source` [count, pos] on the sampler's device.
        """


def permuted_positions(
    tokens: Int[Tensor, "batch pos"], size: int, generator: torch.Generator
) -> Int[Tensor, "batch pos"]:
    """Permutes position ids among the tokens of each example; BOS and padding stay in place.

    Args:
        tokens: the inputs.
        size: number of tokens (BOS and PAD come after them).
        generator: of the draw, on the tokens' device.
    """
    keys = torch.rand(tokens.shape, device=tokens.device, generator=generator)
    slots = torch.arange(tokens.shape[-1], device=tokens.device)
    keys = torch.where(tokens < size, keys, slots + 2.0)
    keys[:, 0] = -1.0
    return keys.argsort(dim=-1)
