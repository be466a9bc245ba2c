"""Keeps the jobs of a sweep together: one folder for how they end (`siit.suite.outcomes`), and one table of it."""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict
from rich.table import Table

from siit._text import duration, printable
from siit.suite.outcomes import RUNNING, Outcome
from siit.training.configuration.overrides import quoted
from siit.training.fit.common_refusal import common_refusal
from siit.training.fit.shared_folders import shared_folders


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

    Without that a job which sets `out` would take another one. A sweep whose jobs would share a model's folder, or have
    settings that are wrong in all of them, ends before it starts.
    """

    current: Path | None = None
    """Of the sweep that this process has started; None if it has started none."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if (refusal := shared_folders(config) or common_refusal(config)) is not None:
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
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")
