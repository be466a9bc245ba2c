"""Turns embeddings away from each other, so that no two tokens begin nearly alike."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

POWER = 8
"""Of the cosines; the larger, the more the most similar pairs count."""
ROUNDS = 100
STEP = 0.1
"""Mean angle by which the rows turn in the first round, in radians; it falls to zero over the rounds."""


@torch.no_grad()
def spread(embeddings: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
    """Turns the rows by gradient descent on the sum of the eighth powers of their cosines; their norms stay.

    The mutual coherence (largest cosine) of 423 random rows in 64 dimensions is about 0.5. Of these it is 0.18, and of
    no rows below 0.115 (Welch, IEEE Trans. Inf. Theory 20:397, 1974). The sum is the p-frame potential of Ehler and
    Okoudjou (J. Stat. Plan. Inference 142:645, 2012).
    """
    norms = embeddings.norm(dim=1, keepdim=True)
    rows = embeddings / norms
    for done in range(ROUNDS):
        cosines = rows @ rows.T
        pull = cosines.fill_diagonal_(0.0) ** (POWER - 1) @ rows
        pull = pull - (pull * rows).sum(1, keepdim=True) * rows
        scale = pull.norm(dim=1).mean().clamp(min=torch.finfo(rows.dtype).tiny)
        rows = rows - STEP * (1 - done / ROUNDS) * pull / scale
        rows = rows / rows.norm(dim=1, keepdim=True)
    return rows * norms
