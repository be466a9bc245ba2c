"""The course of the learning rate."""

from __future__ import annotations

import pytest

from siit.training.configuration.settings import TrainerSettings
from siit.training.fit.schedule import learning_rate_factor

SINCE = (0, 50, 99, 100, 200, 299, 300, 500)


def settings(**changes: object) -> TrainerSettings:
    chosen = TrainerSettings(warmup_steps=0, anneal_steps=100, learning_rate=1.0, final_learning_rate=0.01)
    for name, value in changes.items():
        setattr(chosen, name, value)
    return chosen


def test_it_falls_again_from_half_the_height_over_twice_as_many_steps_while_the_circuit_alone_learns() -> None:
    found = [learning_rate_factor(settings(), step, None) for step in SINCE]
    assert found == pytest.approx([1, 0.5, 0.01, 0.5, 0.25, 0.01, 0.25, 0.125], abs=2e-3)


def test_it_falls_once_more_from_where_that_phase_ended() -> None:
    found = [learning_rate_factor(settings(), 50 + step, 50) for step in (0, 50, 99, 100, 200, 5000)]
    assert found == pytest.approx([0.5, 0.25, 0.01, 0.01, 0.01, 0.01], abs=2e-3)


def test_where_it_had_fallen_it_rises_to_a_quarter() -> None:
    found = [learning_rate_factor(settings(), 90 + step, 90) for step in (0, 50, 99)]
    assert found == pytest.approx([0.25, 0.125, 0.01], abs=2e-3)


def test_what_was_slow_to_learn_falls_slowly() -> None:
    found = [learning_rate_factor(settings(), 200 + step, 200) for step in (0, 100, 199, 200, 5000)]
    assert found == pytest.approx([0.25, 0.125, 0.01, 0.01, 0.01], abs=2e-3), "in the middle of the second cosine"


def test_it_rises_first() -> None:
    warm = settings(warmup_steps=9, anneal_steps=10**6)
    assert [learning_rate_factor(warm, step, None) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1])
