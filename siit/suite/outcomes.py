"""Records how the jobs of a sweep stand, whichever process or machine they run on: a file for each.

A job writes it at its beginning and at its end. So one that is killed, or requeued by a cluster, is seen too.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from siit._files import write_whole

SWEEPS = ".runs/sweeps"
"""Where the folders of sweeps are, below the root of the bundles."""
PLAN_FILE = "plan.json"
"""Which models a suite is to have, in its sweep's folder."""
RUNNING, CERTIFIED, NOT_CERTIFIED, FAILED = "running", "certified", "not certified", "failed"
ALLOWED = "not certified, as allowed"
ELSEWHERE = "in the hands of another process"
STATUS = {CERTIFIED: 0, ALLOWED: 0, NOT_CERTIFIED: 1, FAILED: 2, ELSEWHERE: 2, RUNNING: 2}
"""Verdict -> the exit status of a sweep in which there is nothing worse."""


@dataclass(frozen=True)
class Outcome:
    """Tells how one job of a sweep ended.

    Attributes:
        job: its number.
        case, seed: of its model.
        overrides: what else it was given.
        verdict: one of STATUS.
        why: which bar, or which error.
        steps, seconds: trained in all; None where nothing was.
        cpu_seconds: likewise, of all threads.
        failed: the bars that a model that is not certified misses.
        diagnosis: lines on what is wrong with it.
        began: when the job did, in seconds since 1970.
        took: seconds from there to its end, on the clock; None where it has not ended.
    """

    job: int
    case: str
    seed: int | str
    overrides: tuple[str, ...]
    verdict: str = RUNNING
    why: str = ""
    steps: int | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    failed: tuple[str, ...] = ()
    diagnosis: tuple[str, ...] = ()
    began: float = 0.0
    took: float | None = None

    def write(self, folder: Path) -> None:
        """Writes it into the sweep's folder, whole or not at all."""
        write_whole(folder / f"{self.job}.json", json.dumps(dataclasses.asdict(self)))


def outcomes(folder: Path) -> list[Outcome]:
    """Reads all that a sweep's folder holds, by number.

    Raises:
        ValueError: a file that is no outcome.
    """
    found = []
    for path in folder.glob("[0-9]*.json"):
        try:
            data = json.loads(path.read_text())
            lists = {name: tuple(data.get(name, ())) for name in ("overrides", "failed", "diagnosis")}
            found.append(Outcome(**{**data, **lists}))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path}: found no outcome of a job; delete the file, and the job is forgotten") from error
    return sorted(found, key=lambda outcome: outcome.job)


def last_outcomes(root: Path) -> dict[tuple[str, int | str], Outcome]:
    """Finds how the last job of each model ended, by case and seed, whichever sweep it belonged to.

    One that failed before its first step takes nothing back that an earlier one measured. One that found its model in
    the hands of another process takes nothing back at all.

    Args:
        root: of the bundles.

    Raises:
        ValueError: a file that is no outcome.
    """
    found = [outcome for folder in sorted((root / SWEEPS).glob("*/")) for outcome in outcomes(folder)]
    last: dict[tuple[str, int | str], Outcome] = {}
    for outcome in sorted(found, key=lambda outcome: outcome.began):
        before = last.get((outcome.case, outcome.seed))
        refused = outcome.verdict == FAILED and outcome.steps is None
        if before is None or not (outcome.verdict == ELSEWHERE or (refused and before.steps is not None)):
            last[outcome.case, outcome.seed] = outcome
    return last


def write_plan(folder: Path, models: Sequence[tuple[str, int | str]], began: float) -> None:
    """Writes into a sweep's folder which models there will be, so that those that never begin are known too.

    Args:
        folder: the sweep's.
        models: case and seed of each, by the number of its job.
        began: when the sweep did, in seconds since 1970.
    """
    write_whole(folder / PLAN_FILE, json.dumps({"began": began, "models": models}))


def never_begun(root: Path) -> list[tuple[str, int | str]]:
    """Lists case and seed of the jobs that the latest suite was to have and that left no outcome.

    Args:
        root: of the bundles.

    Raises:
        ValueError: a file that is no plan, or no outcome.
    """
    latest: tuple[float, Path, list[tuple[str, int | str]]] | None = None
    for path in (root / SWEEPS).glob(f"*/{PLAN_FILE}"):
        try:
            data = json.loads(path.read_text())
            began = float(data["began"])
            models = [(str(case), seed if isinstance(seed, int) else str(seed)) for case, seed in data["models"]]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path}: found no plan of a suite; delete the file, and the plan is forgotten") from error
        if latest is None or began > latest[0]:
            latest = began, path.parent, models
    if latest is None:
        return []
    begun = {outcome.job for outcome in outcomes(latest[1])}
    return [model for job, model in enumerate(latest[2]) if job not in begun]


def exit_status(found: Sequence[Outcome]) -> int:
    """Returns 0 if all are certified, 1 if some are not, 2 if some failed or never came to an end."""
    return max((STATUS[outcome.verdict] for outcome in found), default=2)
