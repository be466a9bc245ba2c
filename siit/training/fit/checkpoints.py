"""A run's working folder: its configuration and its checkpoint, so that it can be interrupted at any moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from omegaconf import OmegaConf

from siit.tasks import Task
from siit.training.configuration.settings import ConfigError
from siit.training.fit.loggers import WANDB_ID

RUNS = ".runs"
CHECKPOINT = "last.ckpt"
CONFIG = "train.yaml"
TASK = "task"
"""The key of the fingerprint in what is recorded: what the configuration does not say."""
_FREE = ("logger", "resume", "out", "allow_uncertified")
_FREE_TRAINER = ("evidence_pairs", "progress_bar", "threads", "accelerator", "max_steps")
"""What may differ between a run and its continuation: nothing that changes a number on the same device."""
FAILED_TESTS = "failed-tests.json"


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says why and what to do."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there, so that a kill leaves the old one or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Writes a checkpoint; Lightning calls this."""
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        super().save_checkpoint(checkpoint, beside, storage_options)
        os.replace(beside, target)


class RunFolder:
    """`<out>/.runs/<case>/seed-<seed>`.

    Args:
        root: the root of the bundles.
        case, seed: of the model.
    """

    def __init__(self, root: Path, case: str, seed: int) -> None:
        self.path = root / RUNS / case / f"seed-{seed}"

    @property
    def checkpoint(self) -> Path:
        """Where the last checkpoint stands, if there is one."""
        return self.path / CHECKPOINT

    def open(self, config: dict[str, Any], resume: bool) -> Path | None:
        """Prepares the folder; returns the checkpoint to resume from, if there is one.

        Raises:
            ConfigError: an interrupted run with another configuration is there.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for stale in self.path.glob(f".{CHECKPOINT}.*"):
            stale.unlink()
        if not resume:
            self.close()
        recorded = self.path / CONFIG
        if self.checkpoint.exists() and recorded.exists():
            other = OmegaConf.to_container(OmegaConf.load(recorded))
            differences = differing(config, other)
            if differences:
                raise ConfigError(
                    f"{self.path}: an interrupted run has another configuration ({'; '.join(differences)}); "
                    "finish it with that one, or start anew with resume=false"
                )
            return self.checkpoint
        self.checkpoint.unlink(missing_ok=True)
        _replace(recorded, OmegaConf.to_yaml(OmegaConf.create(config)))
        return None

    @property
    def failed_tests(self) -> list[int]:
        """The steps at which models of this run failed their test certificate, each once."""
        path = self.path / FAILED_TESTS
        return [int(step) for step in json.loads(path.read_text())] if path.exists() else []

    @property
    def failed_at(self) -> int | None:
        """The last of them."""
        return max(self.failed_tests, default=None)

    def note_failed_test(self, step: int) -> None:
        """Notes that the model of this step failed, so that the run trains on from it rather than end with it again."""
        _replace(self.path / FAILED_TESTS, json.dumps(sorted({*self.failed_tests, step})))

    def close(self) -> None:
        """Ends the run once its model is in its bundle, or where it starts anew; metrics stay."""
        for name in (CHECKPOINT, FAILED_TESTS, WANDB_ID):
            (self.path / name).unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    os.replace(beside, path)


def checkpoint_step(path: Path) -> int:
    """Reads at which step a checkpoint was written.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        return int(torch.load(path, map_location="cpu", mmap=True, weights_only=True)["global_step"])
    except (UnpicklingError, EOFError, KeyError, RuntimeError, OSError, ValueError) as error:
        raise TrainingError(
            f"{path}: the checkpoint cannot be read ({type(error).__name__}); start anew with resume=false"
        ) from error


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
    left, right = _flat(config), _flat(other)
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
