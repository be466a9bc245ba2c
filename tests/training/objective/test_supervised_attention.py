"""Supervised attention: its loss against hand computations, and where it reaches."""

from __future__ import annotations

import math

import torch

from siit.causal import Inputs
from siit.training.objective import Objective, SupervisedAttention, Term
from siit.transformer import Transformer
from tests.builders import objectives

TOKENS = torch.tensor([[2, 1, 0, 1, 0]])
"""BOS x . x .; the program asks, at each position, whether the token before is an x."""


def test_the_loss_by_hand():
    interchanges = objectives.handmade_interchanges()
    model = interchanges.model
    attention = SupervisedAttention(model, interchanges.labels)
    assert attention.heads == {"prev": ["a1.h0"]}
    run = model.run(Inputs(TOKENS), attention=attention.heads)
    right = run.attention["prev"]
    assert right[0].argmax(-1).tolist() == [0, 0, 1, 2, 3]
    is_token = TOKENS < 2
    assert attention.loss({"a1.h0": right}, run, is_token).item() == 0
    even = torch.full((1, 5, 5), 0.2)
    loss = attention.loss({"a1.h0": even}, run, is_token)
    torch.testing.assert_close(loss, torch.tensor(math.log(5)))
    # Nothing is asked of BOS.
    half = even.clone()
    half[0, 0] = right[0, 4]
    torch.testing.assert_close(attention.loss({"a1.h0": half}, run, is_token), loss)


def test_it_is_what_the_entropy_leaves():
    """Where attention is spread over two slots, the loss of doing just that is 0."""
    interchanges = objectives.handmade_interchanges()
    attention = SupervisedAttention(interchanges.model, interchanges.labels)
    run = interchanges.model.run(Inputs(TOKENS), attention=attention.heads)
    run.attention["prev"][0, 3] = torch.tensor([0.5, 0.5, 0, 0, 0])
    assert abs(attention.loss({"a1.h0": run.attention["prev"]}, run, TOKENS < 2).item()) < 1e-6


def test_the_objective_adds_it_under_the_drawn_interchanges():
    interchanges = objectives.handmade_interchanges()
    objective = Objective(interchanges, {"edge": Term()}, source_gradient=True, attention_weight=0.5)
    plain = Objective(interchanges, {"edge": Term()}, source_gradient=True)
    model = Transformer(interchanges.labels.circuit.config, seed=0)
    pairs = objectives.handmade_pairs(8, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), True)
    step = objective.evaluate(model, pairs, drawn)
    without = plain.evaluate(model, pairs, drawn)
    assert "attention" not in without.losses
    torch.testing.assert_close(step.loss, without.loss + 0.5 * step.losses["attention"])
    step.losses["attention"].backward()
    block = model.blocks[1]
    assert bool(block.attn.W_Q.grad[0].any()) and not bool(block.attn.W_Q.grad[1:].any())  # type: ignore[union-attr, index]


def test_a_permuted_key_moves_the_pattern():
    """An edge's interchange changes what the head is asked to attend to."""
    interchanges = objectives.handmade_interchanges()
    pairs = objectives.handmade_pairs(4, seed=0)
    choice = torch.full((4,), interchanges.names.index("indices->prev<k>") + 1)
    moved = torch.arange(5).expand(4, 5).clone()
    moved[:, 1:3] = torch.tensor([2, 1])
    run = interchanges.answers(pairs, choice, moved, ["prev"])
    # Keys 1 and 2 have changed places: who looks for the first finds it in slot 2.
    assert run.attention["prev"][0].argmax(-1).tolist() == [0, 0, 2, 1, 3]
