"""Which pairs a measurement runs: those of one base once, where nothing depends on their sources."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from siit.certificate.held_out import HeldOutPairs


@dataclass(frozen=True, eq=False)
class Rows:
    """Pairs that stand for all.

    Attributes:
        pairs: those that are run.
        counts: how many pairs each stands for.
        place: of every pair, the one that stands for it.
    """

    pairs: HeldOutPairs
    counts: Int[Tensor, " rows"]
    place: Int[Tensor, " pairs"]


def rows_of(evidence: HeldOutPairs, *, bases: bool, sort: bool) -> Rows:
    """Chooses pairs.

    Args:
        evidence: all of them.
        bases: whether only the bases matter; else every pair stands for itself.
        sort: whether those that need few positions come first.
    """
    scored, every = evidence.scored(None), torch.arange(evidence.pairs, device=evidence.base.device)
    if bases:
        answers = torch.where(scored, evidence.target(None), 0).double()
        told = torch.cat([evidence.base.double(), answers, scored.double()], 1)
        place = told.unique(dim=0, return_inverse=True)[1]
    else:
        place = every
    counts = place.bincount()
    first = torch.full_like(counts, evidence.pairs).scatter_reduce(0, place, every, "amin")
    order = evidence.at(first).by_need if sort else every[: len(first)]
    return Rows(evidence.at(first[order]), counts[order], order.argsort()[place])
