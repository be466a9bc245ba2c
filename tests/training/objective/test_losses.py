"""Losses and right answers, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from siit.certificate import Answers
from siit.training.objective import task_loss
from siit.training.objective.losses import next_token_loss

NOWHERE = torch.zeros(1, 3, dtype=torch.bool)


def test_cross_entropy():
    # Softmax of (0, log 3) is (1/4, 3/4).
    logits = torch.tensor([[[0.0, math.log(3)], [0.0, math.log(3)], [5.0, -7.0]], [[1.0, 1.0], [2.0, 9.0], [0.0, 0.0]]])
    logits.requires_grad_()
    target = torch.tensor([[1, 0, -1], [0, -1, -1]])
    scored = torch.tensor([[True, True, False], [True, False, False]])
    loss = task_loss(logits, target, scored)
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4) + math.log(2)) / 3)
    loss.backward()
    # (softmax - one-hot) / 3, and 0 where nothing is scored.
    expected = [[[1 / 4, -1 / 4], [-3 / 4, 3 / 4], [0, 0]], [[-1 / 2, 1 / 2], [0, 0], [0, 0]]]
    torch.testing.assert_close(logits.grad, torch.tensor(expected) / 3)


def test_error_of_a_number():
    """Squared below the tolerance, absolute above it."""
    logits = torch.tensor([[[1.125], [9.0], [0.0]]], requires_grad=True)
    target = torch.tensor([[1.0, math.nan, 2.0]])
    loss = task_loss(logits, target, torch.tensor([[True, False, True]]), tolerance=0.25)
    assert loss.item() == (0.125**2 / 0.5 + 2 - 0.125) / 2
    loss.backward()
    assert logits.grad is not None and logits.grad.flatten().tolist() == [0.25, 0, -0.5]


@pytest.mark.parametrize(
    ("classes", "target"), [(4, torch.tensor([[-1, -1, 2]])), (1, torch.tensor([[math.nan, math.nan, 1.0]]))]
)
def test_no_scored_position_is_no_loss(classes: int, target: torch.Tensor):
    logits = torch.ones(1, 3, classes, requires_grad=True)
    loss = task_loss(logits, target, NOWHERE, tolerance=0.05)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and torch.equal(logits.grad, torch.zeros_like(logits))
    empty = task_loss(logits[:0], target[:0], NOWHERE[:0], tolerance=0.05)
    assert empty.item() == 0


def test_right_class():
    logits = torch.tensor([[[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
    assert Answers("categorical", None).right(logits, torch.tensor([[1, 1, -1]])).tolist() == [[True, False, False]]


def test_right_number():
    logits = torch.tensor([[[1.0], [1.25], [1.5], [0.0]]])
    target = torch.tensor([[1.0, 1.0, 1.0, math.nan]])
    assert Answers("numerical", 0.25).right(logits, target).tolist() == [[True, True, False, False]]


def test_next_tokens():
    """BOS a b PAD and BOS b PAD PAD, with a = 0, b = 1, BOS = 2, PAD = 3: a, b and b are what follows."""
    tokens = torch.tensor([[2, 0, 1, 3], [2, 1, 3, 3]])
    log3 = math.log(3)
    logits = torch.tensor(
        [[[log3, 0.0], [log3, 0.0], [50.0, 0.0], [0.0, 50.0]], [[0.0, 0.0], [50.0, 0.0], [7.0, 0.0], [0.0, 7.0]]],
        requires_grad=True,
    )
    loss = next_token_loss(logits, tokens, 2)
    # Softmax of (log 3, 0) is (3/4, 1/4).
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4) + math.log(2)) / 3)
    loss.backward()
    expected = [[[-1 / 4, 1 / 4], [3 / 4, -3 / 4], [0, 0], [0, 0]], [[1 / 2, -1 / 2], [0, 0], [0, 0], [0, 0]]]
    torch.testing.assert_close(logits.grad, torch.tensor(expected) / 3)


def test_no_next_token_is_no_loss():
    logits = torch.ones(1, 3, 2, requires_grad=True)
    loss = next_token_loss(logits, torch.tensor([[2, 3, 3]]), 2)
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()
