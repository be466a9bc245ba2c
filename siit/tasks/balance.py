"""Weighs inputs such that rare answers are drawn as often as frequent ones."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from siit.causal import Inputs
from siit.tasks.inputs import InputSpace

REGARDLESS = 0.1
"""Share of the inputs that are drawn whatever their answers."""
_CHUNK = 1 << 13


def answer_weights(space: InputSpace, tokens: Int[Tensor, "input pos"]) -> Float[Tensor, " input"]:
    """Computes positive weights, mean 1, that balance the answers at each position among inputs of one length.

    An input's weight is the mean over its scored positions of 1 / (how frequent its answer is there x how many answers
    occur there). Where all positions hold the same answer, each answer is then drawn equally often.

    Args:
        space: whose causal model answers; its answers are classes.
        tokens: the inputs.
    """
    assert space.model.classes is not None  # else it would not be balanced
    runs = [space.model.run(Inputs(chunk)) for chunk in tokens.split(_CHUNK)]
    answers, scored = torch.cat([run.output for run in runs]), torch.cat([run.scored for run in runs])
    positions, classes = tokens.shape[1], len(space.model.classes)
    places = (tokens < space.bos_id).sum(1, keepdim=True) * positions + torch.arange(positions)
    answers_at = torch.bincount((places * classes + answers)[scored], minlength=positions * positions * classes)
    answers_at = answers_at.reshape(-1, classes).double()
    share = answers_at / answers_at.sum(1, keepdim=True)
    fair = 1 / (share * (answers_at > 0).sum(1, keepdim=True))
    rarity = torch.where(scored, fair[places, answers.clamp(min=0)], 0.0)
    weights = rarity.sum(1) / scored.sum(1).clamp(min=1)
    return REGARDLESS + (1 - REGARDLESS) * weights / weights.mean()
