"""How far a suite is: counts, and a time that follows from the circuits' sizes."""

from __future__ import annotations

import pytest

from siit.suite.outcomes import CERTIFIED, FAILED, NOT_CERTIFIED, Outcome
from siit.suite.selection import size
from siit.training.suite.progress import SuiteJob, SuiteProgress, event

JOBS = {
    number: SuiteJob(case, 1, case == "caesar_shift") for number, case in enumerate(["ioi", "reverse", "caesar_shift"])
}
JOBS[3] = SuiteJob("square", 1, False)


def test_before_anything_is_trained_nothing_is_estimated():
    there = Outcome(2, "caesar_shift", 0, (), CERTIFIED, took=1.0)
    failed = Outcome(3, "square", 0, (), FAILED, "no", took=1.0)
    assert SuiteProgress(JOBS, [], 0.0).summary() == "0 of 4 done; 0 running"
    progress = SuiteProgress(JOBS, [there, failed, Outcome(0, "ioi", 0, (), began=5.0)], 10.0)
    assert progress.seconds_left() is None
    assert progress.summary() == "2 of 4 done: 1 certified, 1 failed; 1 running"


@pytest.mark.parametrize("together", [1, 2])
def test_the_time_left_goes_by_the_size_of_circuits(together: int):
    """The reverse took 10 s for each of its edges; so do the others, which are worked on together."""
    found = [Outcome(1, "reverse", 0, (), NOT_CERTIFIED, "why", took=10 * size("reverse"))]
    found += [Outcome(0, "ioi", 0, (), began=1000.0), Outcome(3, "square", 0, (), began=1095.0)][:together]
    left = {1: 10 * size("ioi") - 100 + 10 * size("square"), 2: (10 * size("ioi") - 100 + 10 * size("square") - 5) / 2}
    assert SuiteProgress(JOBS, found, 1100.0).seconds_left() == pytest.approx(left[together])


def test_what_takes_longer_than_thought_counts_as_done():
    found = [Outcome(1, "reverse", 0, (), CERTIFIED, took=1.0), Outcome(0, "ioi", 0, (), began=0.0)]
    assert SuiteProgress({0: JOBS[0], 1: JOBS[1]}, found, 1e6).summary() == (
        "1 of 2 done: 1 certified; 1 running; about 0 s left"
    )


def test_events_in_words():
    job = SuiteJob("ioi", 1, False)
    assert event(Outcome(0, "ioi", 1, ()), job) == "ioi, seed 1: started"
    ended = Outcome(0, "ioi", 1, (), CERTIFIED, "", 2500, 1200.0)
    assert event(ended, job) == "ioi, seed 1: certified, 2,500 steps, 20 min"
    assert event(ended, SuiteJob("ioi", 1, True)) == "ioi, seed 1: certified, was there already"
    assert event(Outcome(0, "\x1b", 1, (), FAILED, "a\nb"), job) == "\ufffd, seed 1: failed (a\ufffdb)"
