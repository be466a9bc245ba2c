"""A run's working folder: its configuration and its checkpoint, so that it can be interrupted at any moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from omegaconf import OmegaConf

from siit.tasks import Task
from siit.training.configuration.settings import ConfigError

RUNS = ".runs"
CHECKPOINT = "last.ckpt"
CONFIG = "train.yaml"
TASK = "task"
"""The part of what is noted that the configuration does not say."""
_FREE = ("logger", "resume", "out", "allow_uncertified")
_FREE_TRAINER = ("progress_bar", "threads", "accelerator")
"""What may differ between a run and its continuation: nothing that changes a number on the same device."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there, so that a kill leaves the old one or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
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
            self.checkpoint.unlink(missing_ok=True)
        noted = self.path / CONFIG
        if self.checkpoint.exists() and noted.exists():
            other = OmegaConf.to_container(OmegaConf.load(noted))
            differences = differing(config, other)
            if differences:
                raise ConfigError(
                    f"{self.path}: an interrupted run has another configuration ({'; '.join(differences)}); "
                    "finish it with that one, or start anew with resume=false"
                )
            return self.checkpoint
        self.checkpoint.unlink(missing_ok=True)
        beside = noted.with_name(f".{CONFIG}.{os.getpid()}")
        beside.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
        os.replace(beside, noted)
        return None

    def close(self) -> None:
        """Removes the checkpoint once the model is in its bundle; metrics stay."""
        self.checkpoint.unlink(missing_ok=True)


def run_record(config: dict[str, Any], task: Task) -> dict[str, Any]:
    """A configuration with what it leaves to the case: how its inputs are drawn, and which causal model it has.

    So a program that is changed, in the catalogue or by its author, is not taken for the one that was trained.
    """
    return {**config, TASK: task.fingerprint()}


def differing(config: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The keys in which two noted configurations differ, those apart that change no number.

    The task is not compared where one of them lacks it, as those of earlier versions do.
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
