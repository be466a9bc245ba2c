"""Sets the learning rate: a warm-up, lower and lower cosines while the circuit alone learns, and one last cosine."""

from __future__ import annotations

import math

from siit.training.configuration.settings import TrainerSettings

LEAST = 0.25
"""Of the highest rate, from which the last fall starts at least."""


def learning_rate_factor(settings: TrainerSettings, step: int, everything_from: int | None) -> float:
    """Multiplies the learning rate: warm-up, times cosines over `anneal_steps`, then twice, four times ... as many.

    They start at step 0, and begin anew as long as the circuit-only phase lasts, each at half the height. These are
    warm restarts (Loshchilov and Hutter, arXiv 1608.03983). What is not learned at a high rate is learned at a lower
    one. The last one starts where that phase ends, from the rate at which it ended, or from `LEAST`: a rise would
    unlearn. It never depends on `max_steps`, which is a limit and nothing else.

    Args:
        settings: of the optimizer.
        step: counted from 0.
        everything_from: the step at which the circuit-only phase ended; None while it lasts.
    """
    since, cycle, height = step if everything_from is None else everything_from, settings.anneal_steps, 1.0
    while since >= cycle:
        since, cycle, height = since - cycle, 2 * cycle, height / 2
    factor = height * _cosine(since / cycle)
    if everything_from is not None:
        progress = (step - everything_from) / last_fall(settings, everything_from)
        factor = max(factor, LEAST) * _cosine(progress)
    factor *= min(1.0, (step + 1) / (settings.warmup_steps + 1))
    return max(factor, settings.final_learning_rate / settings.learning_rate)


def last_fall(settings: TrainerSettings, everything_from: int) -> int:
    """Counts the steps over which the learning rate falls after the circuit-only phase.

    Args:
        settings: of the optimizer.
        everything_from: the step at which that phase ended: what was slow to learn falls slowly.
    """
    return max(settings.anneal_steps, everything_from)


def _cosine(progress: float) -> float:
    """Falls from 1 to 0 as progress goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))
