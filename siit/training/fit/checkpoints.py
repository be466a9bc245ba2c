"""A run's working folder: its configuration and its checkpoint, so that it can be interrupted at any moment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from siit._files import write_whole
from siit._text import one_line
from siit.tasks import Task
from siit.training.configuration.settings import ConfigError
from siit.training.fit.checkpoint_file import CHECKPOINT, DAMAGED, PREVIOUS, CheckpointError, read_checkpoint, recorded
from siit.training.fit.loggers import WANDB_ID
from siit.training.fit.recorded_yaml import RecordError, read_recorded

RUNS = ".runs"
CONFIG = "train.yaml"
TASK = "task"
"""The key of the fingerprint in what is recorded: what the configuration does not say."""
_FREE = ("logger", "resume", "overwrite", "out", "allow_uncertified")
_FREE_TRAINER = ("evidence_pairs", "progress_bar", "threads", "accelerator", "devices", "max_steps")
"""What may differ between a run and its continuation. Only `threads`, `accelerator` and `devices` change bits: by
rounding."""
_BEFORE = {"trainer.precision": "32-true", "objective.leakage_weight": 0.0}
"""What versions did that had no key for it."""
FAILED_TESTS = "failed-tests.json"


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says why and what to do."""


def _complain(message: str) -> None:
    print(message, file=sys.stderr)


class RunFolder:
    """`<out>/.runs/<case>/seed-<seed>`.

    Args:
        root: the root of the bundles.
        case, seed: of the model.

    Attributes:
        record: what the run is configured with, once it is open.
    """

    def __init__(self, root: Path, case: str, seed: int) -> None:
        self.path = root / RUNS / case / f"seed-{seed}"
        self.record: dict[str, Any] = {}

    @property
    def checkpoint(self) -> Path:
        """Where the last checkpoint stands, if there is one."""
        return self.path / CHECKPOINT

    def open(self, config: dict[str, Any], resume: bool, say: Callable[[str], None] = _complain) -> Path | None:
        """Prepares the folder; returns the checkpoint to resume from, if there is one.

        Args:
            config: of this run, as `run_record` makes it; its checkpoints will hold it.
            resume: whether an interrupted run is gone on with; if not, its checkpoints are deleted.
            say: is told of what is not as it should be.

        Raises:
            ConfigError: an interrupted run with another configuration is there.
            TrainingError: its checkpoints are damaged.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for stale in self.path.glob(f".{CHECKPOINT}.*"):
            stale.unlink()
        self.record = _plain(config)
        if not resume:
            self.close()
        found = self._whole_checkpoint(say)
        if found is not None:
            _, other = found
            if differences := differing(self.record, other):
                raise ConfigError(
                    f"{self.path}: an interrupted run has another configuration ({'; '.join(differences)}); "
                    "finish it with that one, or start anew with resume=false"
                )
            self._compare(other, say)
        write_whole(self.path / CONFIG, OmegaConf.to_yaml(OmegaConf.create(config)))
        return None if found is None else found[0]

    def _whole_checkpoint(self, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]] | None:
        """Finds the last checkpoint that is whole, with the record that it holds; moves a damaged one aside."""
        faults = []
        for path in (self.checkpoint, self.path / PREVIOUS):
            if not path.exists():
                continue
            try:
                checkpoint = read_checkpoint(path)
                record = recorded(checkpoint)
            except CheckpointError as error:
                faults.append(f"{path}: the checkpoint cannot be used: {error}")
                continue
            if path.name == PREVIOUS:
                for fault in faults:
                    # The next checkpoint would otherwise take the place of the one that is whole.
                    os.replace(self.checkpoint, self.path / DAMAGED)
                    say(f"{fault}; it is kept as {DAMAGED}")
                say(f"{path}: training goes on from this checkpoint, of step {checkpoint['global_step']}")
            return path, record
        if faults:
            raise TrainingError(f"{'; '.join(faults)}; no other one is there: start anew with resume=false")
        return None

    def _compare(self, record: dict[str, Any], say: Callable[[str], None]) -> None:
        """Says where `train.yaml` does not tell of the run whose checkpoint is there; it is written anew then."""
        path, anew = self.path / CONFIG, "it is written anew, as the checkpoint has it"
        try:
            if differences := differing(_plain(read_recorded(path.read_bytes())), record):
                say(f"{path}: tells of another run than the checkpoint ({one_line('; '.join(differences))}); {anew}")
        except FileNotFoundError:
            say(f"{path}: missing; {anew}")
        except (OSError, RecordError) as error:
            say(f"{path}: cannot be read ({one_line(error)}); {anew}")

    @property
    def failed_tests(self) -> list[int]:
        """The steps at which models of this run failed their test certificate, each once."""
        path = self.path / FAILED_TESTS
        try:
            return [int(step) for step in json.loads(path.read_text())] if path.exists() else []
        except (ValueError, TypeError, RecursionError) as error:
            raise TrainingError(f"{path}: found no list of steps; delete it, or set resume=false") from error

    @property
    def failed_at(self) -> int | None:
        """The last of them."""
        return max(self.failed_tests, default=None)

    def note_failed_test(self, step: int) -> None:
        """Notes that the model of this step failed, so that the run trains on from it rather than end with it again."""
        write_whole(self.path / FAILED_TESTS, json.dumps(sorted({*self.failed_tests, step})))

    def close(self) -> None:
        """Ends the run once its model is in its bundle, or where it starts anew; metrics stay."""
        for name in (CHECKPOINT, PREVIOUS, DAMAGED, FAILED_TESTS, WANDB_ID):
            (self.path / name).unlink(missing_ok=True)


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Makes of a configuration what JSON gives back, as a checkpoint's record is."""
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return plain


def checkpoint_step(path: Path) -> int:
    """Reads at which step a checkpoint was written.

    Raises:
        TrainingError: it cannot be used.
    """
    try:
        return int(read_checkpoint(path)["global_step"])
    except CheckpointError as error:
        raise TrainingError(f"{path}: the checkpoint cannot be used: {error}; start anew with resume=false") from error


def run_record(config: dict[str, Any], task: Task) -> dict[str, Any]:
    """Adds to a configuration the task's fingerprint: how its inputs are drawn, and which causal model it has.

    So a program that is changed, in the catalogue or by its author, is not taken for the one that was trained.

    Args:
        config: all of a run's settings, as plain values.
        task: which the settings name.
    """
    return {**config, TASK: task.fingerprint()}


def differing(config: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Lists the keys in which two recorded configurations differ, those apart that change no number.

    The task is not compared where one of them lacks it, as those of earlier versions do.

    Args:
        config: of this run.
        other: that of a folder.
    """
    free = {*_FREE, *([] if TASK in config and TASK in other else [TASK])}
    left, right = ({**_BEFORE, **_flat(each)} for each in (config, other))
    keys = [key for key in sorted(left.keys() | right.keys()) if left.get(key) != right.get(key)]
    return [
        f"{key}: {right.get(key)!r} there, {left.get(key)!r} here"
        for key in keys
        if key.split(".")[0] not in free and key not in {f"trainer.{name}" for name in _FREE_TRAINER}
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
    return flat
