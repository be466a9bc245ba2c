"""Computes the task's loss at the scored positions, and that of predicting every next token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor


def cross_entropies(
    logits: Float[Tensor, "batch pos classes"], target: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos"]:
    """Computes the cross-entropy of each position.

    Classes stay the last dimension: along it a softmax is several times as fast as across it.

    Args:
        logits: of each class.
        target: the right class.
    """
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)


def task_loss(
    logits: Float[Tensor, "batch pos classes"],
    target: Num[Tensor, "batch pos"],
    scored: Bool[Tensor, "batch pos"],
    tolerance: float | None = None,
) -> Float[Tensor, ""]:
    """Averages over scored positions what `answer_losses` gives.

    Args:
        logits: of each class; the only one is the answer where targets are numbers.
        target: the right class or number; ignored where not scored.
        scored: which positions count; the loss is 0 if none does.
        tolerance: how far a number may be off; given where targets are numbers.
    """
    return answer_losses(logits, target, scored, tolerance).sum() / scored.sum().clamp(min=1)


def answer_losses(
    logits: Float[Tensor, "batch pos classes"],
    target: Num[Tensor, "batch pos"],
    scored: Bool[Tensor, "batch pos"],
    tolerance: float | None = None,
) -> Float[Tensor, "batch pos"]:
    """Computes the cross-entropy of each position, or, where targets are numbers, the absolute error.

    Below the tolerance that error is smoothed (smooth L1: Girshick, arXiv 1504.08083, equation 3). A squared error
    would weigh next to nothing beside other losses long before it is within a small tolerance.

    Args:
        logits: of each class; the only one is the answer where targets are numbers.
        target: the right class or number; ignored where not scored.
        scored: which positions count; the others' losses are 0.
        tolerance: how far a number may be off; given where targets are numbers.
    """
    if target.is_floating_point():
        assert tolerance is not None
        known = torch.where(scored, target, 0.0)
        each = F.smooth_l1_loss(logits[..., 0], known, reduction="none", beta=tolerance)
    else:
        each = cross_entropies(logits, torch.where(scored, target, 0))
    return torch.where(scored, each, 0.0)


def next_token_loss(
    logits: Float[Tensor, "batch pos classes"], tokens: Int[Tensor, "batch pos"], size: int
) -> Float[Tensor, ""]:
    """Averages the cross-entropy of the token that follows, over all positions that one follows.

    Args:
        logits: of each token.
        tokens: the input; BOS, tokens, padding.
        size: number of tokens; ids from it on (BOS and PAD) are not predicted.
    """
    following = tokens[:, 1:]
    counted = following < size
    each = cross_entropies(logits[:, :-1], torch.where(counted, following, 0))
    return torch.where(counted, each, 0.0).sum() / counted.sum().clamp(min=1)
