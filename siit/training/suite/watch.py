"""Shows how far a suite is, on a terminal as a live table, else in plain lines.

It reads the sweep's folder, into which each job writes how it stands. So it works with every launcher of Hydra's.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, cast

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.live import Live
from rich.table import Table

from siit._console import Steady
from siit._text import duration, printable
from siit.bundle import MANIFEST_FILE
from siit.suite.outcomes import RUNNING, Outcome, outcomes, write_plan
from siit.training.fit.sweep import SweepFolder
from siit.training.fit.sweep_jobs import key_and_value, sweep_jobs, sweep_overrides
from siit.training.suite.log import last_check
from siit.training.suite.progress import SuiteJob, SuiteProgress, event

EVERY = 1.0
"""Seconds between two looks into the folder."""


class SuiteWatch(Callback):
    """Starts a watcher with the sweep, and ends it with it, as Hydra's callback; a job with it has a log of its own."""

    current: ClassVar[Watcher | None] = None
    """Of the suite that this process has started; None if it has started none, or it has ended."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        assert SweepFolder.current is not None
        jobs = planned_jobs(config)
        write_plan(SweepFolder.current, [(job.case, job.seed) for job in jobs.values()], time.time())
        SuiteWatch.current = Watcher(SweepFolder.current, jobs)
        SuiteWatch.current.start()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        end_watch()


def end_watch() -> None:
    """Ends the watcher of this process, if it has one, with a last look; Hydra tells it of no end by an error."""
    if SuiteWatch.current is not None:
        SuiteWatch.current.end()
        SuiteWatch.current = None


def is_watched() -> bool:
    """Tells whether the job that runs in this process is one of a suite."""
    return any(callback.get("_target_") == _TARGET for callback in HydraConfig.get().callbacks.values())


_TARGET = f"{SuiteWatch.__module__}.{SuiteWatch.__qualname__}"


def planned_jobs(config: DictConfig) -> dict[int, SuiteJob]:
    """Lists the jobs that there will be, by number; none where the sweeper draws them while it runs."""
    overrides = sweep_overrides(config)
    jobs = {}
    for number, job in enumerate([] if overrides is None else sweep_jobs(overrides)):
        given = dict(map(key_and_value, job))
        case, seed = given.get("case", str(config.case.name)), str(given.get("seed", config.seed))
        there = (Path(str(config.out)) / case / f"seed-{seed}" / MANIFEST_FILE).exists()
        jobs[number] = SuiteJob(case, int(seed) if seed.isdecimal() else seed, there)
    return jobs


class Watcher(threading.Thread):
    """Looks into a sweep's folder every second, and shows what has changed.

    Args:
        folder: the sweep's.
        jobs: all that there will be, by number.
        every: seconds between two looks.
    """

    def __init__(self, folder: Path, jobs: Mapping[int, SuiteJob], every: float = EVERY) -> None:
        super().__init__(name="siit-suite", daemon=True)
        self._folder, self._jobs, self._every = folder, dict(jobs), every
        self._ended = threading.Event()
        self._said: dict[int, str] = {}
        # The stream of now: a job in this process has another one.
        self._console = Console(file=cast(IO[str], Steady(sys.stdout)), highlight=False, soft_wrap=True)
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def run(self) -> None:
        """Looks until `end` is called, as the thread's own work."""
        if self._console.is_terminal:
            self._live.start()
        while not self._ended.wait(self._every):
            self._look()
        self._live.stop()
        self._look()

    def end(self) -> None:
        """Takes a last look, and waits until it is over."""
        self._ended.set()
        self.join()

    def _look(self) -> None:
        try:
            found = outcomes(self._folder)
        except (ValueError, OSError):
            return  # a file system that is not there for a moment; the sweep's own table says it if it stays so
        for outcome in found:
            self._jobs.setdefault(outcome.job, SuiteJob(outcome.case, outcome.seed, False))
        progress = SuiteProgress(self._jobs, found, time.time())
        news = [outcome for outcome in found if self._said.get(outcome.job) != outcome.verdict]
        for outcome in news:
            self._said[outcome.job] = outcome.verdict
            if outcome.verdict != RUNNING or not self._live.is_started:
                self._console.print(event(outcome, self._jobs[outcome.job]), markup=False)
        if self._live.is_started:
            self._live.update(running_table(progress, self._folder, time.time()), refresh=True)
        elif any(outcome.verdict != RUNNING for outcome in news):
            self._console.print(progress.summary(), markup=False)


def running_table(progress: SuiteProgress, folder: Path, now: float) -> Table:
    """Makes the live table: a row for each job that runs, with its last check, and all of them in the title.

    Args:
        progress: how the jobs stand.
        folder: the sweep's, with the jobs' logs.
        now: the time, in seconds since 1970.
    """
    table = Table(title=progress.summary(), title_justify="left", title_style="bold", expand=True)
    table.add_column("running", no_wrap=True)
    table.add_column("for", justify="right", no_wrap=True)
    # It gives way where the line is short.
    table.add_column("last check", no_wrap=True, ratio=1)
    for outcome in progress.running:
        table.add_row(*map(_plain, _row(outcome, folder, now)))
    return table


def _row(outcome: Outcome, folder: Path, now: float) -> tuple[str, str, str]:
    since = duration(max(now - outcome.began, 0.0))
    return f"{outcome.case}, seed {outcome.seed}", since, last_check(folder, outcome.job)


def _plain(text: str) -> str:
    return printable(text).replace("[", "\\[")
