"""Holds the interventions of one batch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.training.objective.draws import Replacement


@dataclass(frozen=True, eq=False)
class Drawn:
    """The interventions of one batch.

    Attributes:
        choice: the interchange of each example, as `siit.interchange.interventions` numbers them.
        constant: which constant edges are interchanged too, in the order of the interchanges.
        source_positions: position ids of the source run.
        off_positions: permuted position ids, of which resampled off-circuit edges take the embeddings.
        shifted: for each position another one, at which shifted ablation reads.
        replacement: what is replaced off the circuit, and by what.
        all_off: whether every off-circuit part is replaced in every example.
    """

    choice: Int[Tensor, " batch"]
    constant: Bool[Tensor, "constant batch"]
    source_positions: Int[Tensor, "batch pos"]
    off_positions: Int[Tensor, "batch pos"]
    shifted: Int[Tensor, "batch pos"]
    replacement: Replacement
    all_off: bool

    def replaced(self, place: Bool[Tensor, " batch"], by: Drawn, row: Int[Tensor, " batch"]) -> Drawn:
        """Replaces the interventions of some examples by those of others.

        Args:
            place: which ones.
            by: the others', drawn in the same phase.
            row: for each place, which of these takes it.
        """

        def first(own: Tensor, other: Tensor) -> Tensor:
            return torch.where(place if own.dim() == 1 else place.unsqueeze(1), other[row], own)

        def last(own: Tensor, other: Tensor) -> Tensor:
            return torch.where(place, other[:, row], own)

        own, other = self.replacement, by.replacement
        return dataclasses.replace(
            self,
            choice=first(self.choice, by.choice),
            constant=last(self.constant, by.constant),
            source_positions=first(self.source_positions, by.source_positions),
            off_positions=first(self.off_positions, by.off_positions),
            shifted=first(self.shifted, by.shifted),
            replacement=Replacement(
                nodes=last(own.nodes, other.nodes),
                edges=last(own.edges, other.edges),
                ablation=first(own.ablation, other.ablation),
                single=first(own.single, other.single),
            ),
        )
