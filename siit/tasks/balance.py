"""Weighs inputs such that rare answers, or rare values of a variable, are drawn as often as frequent ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from siit.causal import OUTPUT, Inputs, Run
from siit.causal.mechanisms import Values, undefined
from siit.tasks.inputs import InputSpace

REGARDLESS = 0.1
"""Share of the inputs that are drawn whatever their answers, or values."""
ROUNDING = 1e-4
"""Numerical values are rounded to multiples of it."""
_CHUNK = 1 << 13


def answer_weights(space: InputSpace, tokens: Int[Tensor, "input pos"]) -> Float[Tensor, " input"]:
    """Computes positive weights, mean 1, that balance the answers at each position among inputs of one length.

    An input's weight is the mean over its scored positions of 1 / (how frequent its answer is there x how many answers
    occur there). Where all positions hold the same answer, each answer is then drawn equally often.

    Args:
        space: whose causal model answers.
        tokens: the inputs.
    """
    return _weights(space, tokens, _runs(space, tokens), OUTPUT)


def value_weights(space: InputSpace, tokens: Int[Tensor, "input pos"]) -> dict[str, Float[Tensor, " input"]]:
    """Computes such weights for the values of each variable, and for the answers: `output`.

    Args:
        space: whose causal model has the variables.
        tokens: the inputs.
    """
    runs = _runs(space, tokens)
    return {name: _weights(space, tokens, runs, name) for name in (*space.model.variables, OUTPUT)}


def _runs(space: InputSpace, tokens: Int[Tensor, "input pos"]) -> list[Run]:
    return [space.model.run(Inputs(chunk)) for chunk in tokens.split(_CHUNK)]


def _weights(
    space: InputSpace, tokens: Int[Tensor, "input pos"], runs: Sequence[Run], name: str
) -> Float[Tensor, " input"]:
    is_token = tokens < space.bos_id
    values = torch.cat([run.values[name] for run in runs])
    counted = torch.cat([run.scored for run in runs]) if name == OUTPUT else is_token & ~undefined(values)
    numbers, n_numbers = _numbered(values, counted)
    # A place is a position in inputs of one length.
    n_positions = tokens.shape[1]
    place = is_token.sum(1, keepdim=True) * n_positions + torch.arange(n_positions)
    found = torch.bincount((place * n_numbers + numbers)[counted], minlength=n_positions * n_positions * n_numbers)
    found = found.reshape(-1, n_numbers).double()
    share = found / found.sum(1, keepdim=True)
    fair = 1 / (share * (found > 0).sum(1, keepdim=True))
    rarity = torch.where(counted, fair[place, numbers], 0.0)
    weights = rarity.sum(1) / counted.sum(1).clamp(min=1)
    return REGARDLESS + (1 - REGARDLESS) * weights / weights.mean()


def _numbered(values: Values, counted: Bool[Tensor, "input pos"]) -> tuple[Int[Tensor, "input pos"], int]:
    """Numbers the different values among those that count; says how many there are. All others have number 0."""
    rounded = (values.double() / ROUNDING).round() if values.is_floating_point() else values
    different, place = rounded[counted].unique(return_inverse=True)
    return torch.zeros_like(rounded, dtype=torch.int64).masked_scatter(counted, place), max(1, len(different))
