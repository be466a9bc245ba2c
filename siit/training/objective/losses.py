"""The task's loss, at the scored positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor


def cross_entropies(
    logits: Float[Tensor, "batch pos classes"], target: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos"]:
    """Of each position. Classes stay the last dimension: along it a softmax is several times as fast as across it."""
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)


def task_loss(
    logits: Float[Tensor, "batch pos classes"], target: Num[Tensor, "batch pos"], scored: Bool[Tensor, "batch pos"]
) -> Float[Tensor, ""]:
    """Mean over scored positions of the cross-entropy, or of the squared error where targets are numbers."""
    if target.is_floating_point():
        each = (logits[..., 0] - torch.where(scored, target, 0.0)).square()
    else:
        each = cross_entropies(logits, torch.where(scored, target, 0))
    return torch.where(scored, each, 0.0).sum() / scored.sum().clamp(min=1)


def next_token_loss(
    logits: Float[Tensor, "batch pos classes"], tokens: Int[Tensor, "batch pos"], size: int
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the token that follows, wherever one does; ids from `size` on (BOS, PAD) are none."""
    following = tokens[:, 1:]
    counted = following < size
    each = cross_entropies(logits[:, :-1], torch.where(counted, following, 0))
    return torch.where(counted, each, 0.0).sum() / counted.sum().clamp(min=1)
