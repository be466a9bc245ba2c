"""Holds the interventions of one batch."""

from __future__ import annotations

from dataclasses import dataclass

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
