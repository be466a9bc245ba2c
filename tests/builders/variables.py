"""Makes tasks of locating variables: of a model written by hand, of random models, and of the certified model."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor

from siit.certificate import Answers
from siit.graph.architecture import ModelConfig
from siit.localization import VariablePairs, VariableTask, variable_task
from siit.transformer import Transformer
from tests.builders import handmade
from tests.builders.discovery import certified, random_task

ROTATED = dataclasses.replace(handmade.CONFIG, d_vocab_out=4)
"""The hand-written model with four classes: twice whether the token before is an x, and whether this one is."""


@functools.cache
def certified_variable(unit: str, n_pairs: int = 64, **how: Any) -> VariableTask:
    """Makes a task of frac_prevs."""
    return variable_task(certified(), unit, n_pairs, **how)


def turn() -> Tensor:
    """Draws the orthogonal matrix by which the stream of the rotated model is turned, [d_model, d_model]."""
    drawn = torch.randn(handmade.CONFIG.d_model, handmade.CONFIG.d_model, generator=torch.Generator().manual_seed(5))
    return torch.linalg.qr(drawn).Q


def rotated_model() -> Transformer:
    """Writes a model in which m0 writes the same twice, and another reads each, in a stream that is turned.

    The head a1.h0 copies IS_X from the position before, and BIAS goes to the logits directly.
    """
    weights = {name: tensor.clone() for name, tensor in handmade.parameters(ROTATED).items()}
    weights["blocks.0.mlp.W_out"][0, handmade.BIAS] = 1
    weights["unembed.W_U"].zero_()
    for number in range(4):
        for dimension, wanted in ((handmade.PREV, number // 2), (handmade.BIAS, number % 2)):
            sign = 2 * wanted - 1
            weights["unembed.W_U"][dimension, number] = 10.0 * sign
            weights["unembed.b_U"][number] -= 5.0 * sign
    matrix = turn()
    for name, tensor in weights.items():
        kind = name.rpartition(".")[2]
        if kind in ("W_E", "W_pos", "W_O", "W_out"):
            weights[name] = tensor @ matrix
        elif kind in ("W_Q", "W_K", "W_V", "W_in", "W_U"):
            weights[name] = matrix.T @ tensor
    model = Transformer(ROTATED)
    model.load_state_dict(weights)
    return model


def rotated_task() -> VariableTask:
    """Makes the task of locating what a1.h0 reads; its answers are worked out by hand."""
    evidence = handmade.evidence()
    base, source = evidence["base_tokens"], evidence["source_tokens"]
    interchanged = torch.rand(base.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    is_x = base == handmade.X
    mixed = torch.where(interchanged, source == handmade.X, is_x)
    scored = torch.arange(5).expand_as(base) >= 2

    def answer(read: Tensor) -> Tensor:
        return torch.where(scored, 2 * read.roll(1, 1).long() + is_x.long(), 0)

    pairs = VariablePairs(
        base,
        source,
        torch.arange(5).expand_as(base),
        interchanged,
        scored,
        answer(mixed),
        answer(is_x),
        {"is_x": is_x.long()},
        base != handmade.BOS,
    )
    rows = torch.randperm(len(base), generator=torch.Generator().manual_seed(2))
    train, held_out = (pairs.some(part) for part in rows.chunk(2))
    return VariableTask(rotated_model(), Answers("categorical", None), {"is_x": 2}, train, held_out)


def random_variable_task(direction: str, norm: str | None, d_vocab_out: int, seed: int = 0) -> VariableTask:
    """Makes a task of a random model in double precision: four pairs, with permuted positions."""
    drawn = random_task(direction, norm, d_vocab_out, seed)
    assert drawn.corrupted_positions is not None
    config: ModelConfig = drawn.config
    generator = torch.Generator().manual_seed(seed)
    pairs = VariablePairs(
        drawn.clean,
        drawn.corrupted,
        drawn.corrupted_positions,
        torch.rand(drawn.clean.shape, generator=generator) < 0.5,
        drawn.scored,
        drawn.target,
        drawn.target,
        {"some": torch.randint(3, drawn.clean.shape, generator=generator)},
        drawn.clean < config.d_vocab,
    )
    answers = Answers(drawn.output, 0.1 if d_vocab_out == 1 else None)
    return VariableTask(drawn.model, answers, {"some": 3}, pairs, pairs)
