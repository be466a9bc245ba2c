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


@pytest.mark.parametrize(("begins", "everything_from"), [(0, None), (1000, 1000)])
def test_the_learning_rate_falls_again_over_twice_as_many_steps(begins: int, everything_from: int | None) -> None:
    found = [learning_rate_factor(settings(), begins + step, everything_from) for step in SINCE]
    assert found == pytest.approx([1, 0.5, 0.01, 1, 0.5, 0.01, 1, 0.5], abs=2e-3)


def test_without_restarts_it_stays_where_it_has_fallen_to_once_the_circuit_only_phase_is_over() -> None:
    once = settings(restarts=False)
    assert learning_rate_factor(once, 100, None) == pytest.approx(1), "the circuit alone has not passed yet"
    found = [learning_rate_factor(once, 1000 + step, 1000) for step in (0, 50, 99, 100, 200, 5000)]
    assert found == pytest.approx([1, 0.5, 0.01, 0.01, 0.01, 0.01], abs=2e-3)


def test_it_rises_first() -> None:
    warm = settings(warmup_steps=9, anneal_steps=10**6)
    assert [learning_rate_factor(warm, step, None) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1])
