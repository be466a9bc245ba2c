"""Gathers how the jobs of a sweep ended, whichever process or machine they ran on, and sums it up in a table.

Each job writes a file of its own into the sweep's folder, at its beginning and at its end. So a job that is killed, or
requeued by a cluster, is seen too.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict
from rich.table import Table

from siit._text import printable
from siit.training.fit.display import duration
from siit.training.fit.shared_folders import shared_folders

RUNNING, CERTIFIED, NOT_CERTIFIED, FAILED = "running", "certified", "not certified", "failed"
ALLOWED = "not certified, as allowed"
_STATUS = {CERTIFIED: 0, ALLOWED: 0, NOT_CERTIFIED: 1, FAILED: 2, RUNNING: 2}


@dataclass(frozen=True)
class Outcome:
    """How one job of a sweep ended.

    Attributes:
        job: its number.
        case, seed: of its model.
        overrides: what else it was given.
        verdict: certified, not certified, failed, or running.
        why: which bar, or which error.
        steps, seconds: trained in all; None where nothing was.
    """

    job: int
    case: str
    seed: int | str
    overrides: tuple[str, ...]
    verdict: str = RUNNING
    why: str = ""
    steps: int | None = None
    seconds: float | None = None

    def write(self, folder: Path) -> None:
        """Writes it into the sweep's folder, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{self.job}.{os.getpid()}"
        beside.write_text(json.dumps(dataclasses.asdict(self)))
        os.replace(beside, folder / f"{self.job}.json")


def outcomes(folder: Path) -> list[Outcome]:
    """Reads all of them, by number."""
    found = []
    for path in folder.glob("[0-9]*.json"):
        data: dict[str, Any] = json.loads(path.read_text())
        found.append(Outcome(**{**data, "overrides": tuple(data["overrides"])}))
    return sorted(found, key=lambda outcome: outcome.job)


def exit_status(found: Sequence[Outcome]) -> int:
    """0 if all are certified, 1 if some are not, 2 if some failed or never came to an end."""
    return max((_STATUS[outcome.verdict] for outcome in found), default=2)


def sweep_table(found: Sequence[Outcome]) -> Table:
    """Makes a table with a row for each job: case, seed, what else is not the same in all, verdict, steps, time."""
    counts = Counter(outcome.verdict for outcome in found)
    jobs = "1 job" if len(found) == 1 else f"{len(found)} jobs"
    table = Table(title=f"{jobs}: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")
    common = set.intersection(*(set(outcome.overrides) for outcome in found)) if found else set()
    others = {outcome.job: [text for text in outcome.overrides if text not in common] for outcome in found}
    columns = ["case", "seed", *(["with"] if any(others.values()) else []), "verdict", "steps", "time"]
    for column in columns:
        table.add_column(column, justify="right" if column in ("seed", "steps", "time") else "left", overflow="fold")
    for outcome in found:
        ended = "killed, or still running" if outcome.verdict == RUNNING else outcome.verdict
        row = {
            "case": outcome.case,
            "seed": str(outcome.seed),
            "with": " ".join(others[outcome.job]),
            "verdict": f"{ended}: {outcome.why}" if outcome.why else ended,
            "steps": "" if outcome.steps is None else f"{outcome.steps:,}",
            "time": "" if outcome.seconds is None else duration(outcome.seconds),
        }
        table.add_row(*(_escaped(row[column]) for column in columns))
    return table


def _escaped(text: str) -> str:
    return printable(text).replace("[", "\\[")


class SweepFolder(Callback):
    """Pins the sweep's folder for all of its jobs, as Hydra's callback, and knows it afterwards.

    Without that a job which sets `out` would take another one. A sweep whose jobs would share a model's folder ends
    before it starts.
    """

    current: Path | None = None
    """Of the sweep that this process has started; None if it has started none."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if (refusal := shared_folders(config)) is not None:
            # Hydra takes an error of a callback for a warning, but not the end of the process.
            print(f"siit.train: {printable(refusal)}", file=sys.stderr, flush=True)
            sys.exit(2)
        if HydraConfig.instance().cfg is None:
            # `out` may name what was chosen, as ${hydra:runtime.choices.model}; a copy, for this makes it read-only.
            HydraConfig.instance().set_config(copy.deepcopy(config))
        folder = Path(config.hydra.sweep.dir).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        SweepFolder.current = folder
        with open_dict(config):
            config.hydra.sweep.dir = str(folder)
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{folder}'")
