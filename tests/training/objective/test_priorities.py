"""The running errors that prioritised sampling follows, by hand."""

from __future__ import annotations

import pytest
import torch

from siit.training.objective import RunningErrors
from siit.training.objective.priorities import FLOOR, MEMORY, prioritised


def test_prioritised():
    chances, error = torch.tensor([0.1, 0.3, 0.0]), torch.tensor([0.6, 0.2, 0.5])
    assert prioritised(chances, error, 0.0).tolist() == pytest.approx([0.1, 0.3, 0])
    # All of the 0.4 by the errors of what has a chance: 0.6 to 0.2.
    assert prioritised(chances, error, 1.0).tolist() == pytest.approx([0.3, 0.1, 0])
    assert prioritised(chances, error, 0.5).tolist() == pytest.approx([0.2, 0.2, 0])
    assert prioritised(torch.zeros(3), error, 0.5).tolist() == [0, 0, 0]


def test_errors_by_hand():
    errors = RunningErrors(2, 2, 3)
    errors.update(
        choice=torch.tensor([1, 1, 0, 0]),
        single=torch.tensor([-1, 4, 4, -1]),
        wrong=torch.tensor([1, 0, 2, 3]),
        scored=torch.tensor([4, 6, 4, 3]),
    )
    # Intervention 1 was wrong at 1 of 10 positions, part 1 replaced alone by ablation 1 at 2 of 10.
    assert errors.interchanges.tolist() == pytest.approx([MEMORY + (1 - MEMORY) * 0.1, 1])
    expected = [[1, 1, 1], [1, MEMORY + (1 - MEMORY) * 0.2, 1], [1, 1, 1]]
    torch.testing.assert_close(errors.singles, torch.tensor(expected))


def test_errors_stay_above_a_floor():
    errors = RunningErrors(1, 1, 3)
    for _ in range(1000):
        errors.update(torch.tensor([1]), torch.tensor([0]), torch.tensor([0]), torch.tensor([5]))
    assert errors.interchanges.tolist() == pytest.approx([FLOOR])
    assert errors.singles.flatten().tolist() == pytest.approx([FLOOR, 1, 1, 1, 1, 1])


def test_unscored_examples_say_nothing():
    errors = RunningErrors(1, 1, 3)
    errors.update(torch.tensor([1]), torch.tensor([0]), torch.tensor([0]), torch.tensor([0]))
    assert errors.interchanges.tolist() == [1]


def test_circuits_without_anything_off_them():
    errors = RunningErrors(1, 0, 3)
    errors.update(torch.tensor([1, 0]), torch.tensor([-1, -1]), torch.tensor([1, 1]), torch.tensor([2, 1]))
    assert errors.singles.shape == (1, 3)
    assert errors.interchanges.tolist() == pytest.approx([MEMORY + (1 - MEMORY) * 0.5])
