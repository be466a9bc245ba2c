"""Tells how far a suite is, from its jobs and how they stand: counts, words, and the time that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from siit._text import duration, printable
from siit.suite.outcomes import ALLOWED, CERTIFIED, ELSEWHERE, FAILED, NOT_CERTIFIED, RUNNING, Outcome
from siit.suite.selection import size

_TRAINED = (CERTIFIED, ALLOWED, NOT_CERTIFIED)
_VERDICTS = (*_TRAINED, FAILED, ELSEWHERE)


@dataclass(frozen=True)
class SuiteJob:
    """A job of a suite that was planned.

    Attributes:
        case: of its model, or the option that names it.
        seed: of its model, or what was given for it.
        there: whether its model was there before the suite began, so that it takes no time.
    """

    case: str
    seed: int | str
    there: bool


class SuiteProgress:
    """Holds how the jobs of a suite stand at one moment.

    Args:
        jobs: all that there will be, by number.
        found: how those stand that have begun.
        now: the time, in seconds since 1970.
    """

    def __init__(self, jobs: Mapping[int, SuiteJob], found: Sequence[Outcome], now: float) -> None:
        self._jobs, self._now = jobs, now
        self.ended = [outcome for outcome in found if outcome.verdict != RUNNING]
        self.running = [outcome for outcome in found if outcome.verdict == RUNNING]

    def summary(self) -> str:
        """Says it in one line: done, by verdict, running, and the time that is left."""
        counts = Counter(outcome.verdict for outcome in self.ended)
        verdicts = [f"{counts[name]} {name}" for name in _VERDICTS if counts[name]]
        parts = [
            f"{len(self.ended)} of {len(self._jobs)} done" + (f": {', '.join(verdicts)}" if verdicts else ""),
            f"{len(self.running)} running",
        ]
        left = self.seconds_left()
        if left is not None and len(self.ended) < len(self._jobs):
            parts.append(f"about {duration(left)} left")
        return "; ".join(parts)

    def seconds_left(self) -> float | None:
        """Estimates the seconds to the end, with as many jobs at once as now; None before one has been trained.

        A job takes as long as those that have ended did, by the size of its circuit.
        """
        trained = [
            outcome
            for outcome in self.ended
            if outcome.verdict in _TRAINED and outcome.took is not None and not self._jobs[outcome.job].there
        ]
        if not trained:
            return None
        spent = sum(outcome.took or 0.0 for outcome in trained)
        pace = spent / sum(size(self._jobs[outcome.job].case) for outcome in trained)
        ended = {outcome.job for outcome in self.ended}
        since = {outcome.job: max(self._now - outcome.began, 0.0) for outcome in self.running}
        left = [
            max(pace * size(job.case) - since.get(number, 0.0), 0.0)
            for number, job in self._jobs.items()
            if number not in ended and not job.there
        ]
        return sum(left) / max(len(self.running), 1)


def event(outcome: Outcome, job: SuiteJob) -> str:
    """Says of one job that it began, or how it ended."""
    model = printable(f"{outcome.case}, seed {outcome.seed}")
    if outcome.verdict == RUNNING:
        return f"{model}: started"
    if job.there and outcome.verdict in (CERTIFIED, ALLOWED):
        return f"{model}: {outcome.verdict}, was there already"
    trained = [] if outcome.steps is None else [f"{outcome.steps:,} steps"]
    if outcome.seconds is not None:
        trained.append(duration(outcome.seconds))
    why = f" ({printable(outcome.why)})" if outcome.why else ""
    return f"{model}: {', '.join([outcome.verdict + why, *trained])}"
