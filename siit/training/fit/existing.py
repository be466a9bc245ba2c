"""Decides what becomes of a model that is already there: it is left, or replaced with the user's word, never lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siit._text import one_line
from siit.bundle import Bundle, BundleError, read_bundle, set_aside
from siit.training.configuration.settings import ConfigError, Settings
from siit.training.fit.checkpoints import TASK, differing
from siit.training.fit.recorded_yaml import RecordError, read_recorded

_WAYS = "train into another folder (out=...), or replace it with overwrite=true"


@dataclass(frozen=True)
class Existing:
    """A model that is there and is the one that was asked for.

    Attributes:
        path: its folder.
        certified: what its certificate says.
        failed: the bars that do not hold.
    """

    path: Path
    certified: bool
    failed: tuple[str, ...]


def model_folder(settings: Settings) -> Path:
    """Tells where the model goes: `<out>/<case>/seed-<seed>`."""
    return Path(settings.out) / settings.case.name / f"seed-{settings.seed}"


def find_existing(settings: Settings, record: dict[str, Any], say: Callable[[str], None]) -> Existing | None:
    """Finds the model, if it is there with the configuration as it is now; None if there is none, or it may go.

    Args:
        settings: of the run.
        record: what would be recorded now.
        say: is told of what is not as it should be.

    Raises:
        ConfigError: another model is there, or a damaged one, and nothing says that it may be replaced.
    """
    path = model_folder(settings)
    if not os.path.lexists(path) or settings.overwrite or not settings.resume:
        return None
    try:
        bundle = read_bundle(path)
        other = read_recorded(bundle.train_yaml.encode())
    except (BundleError, RecordError) as error:
        raise ConfigError(
            f"{path}: found a damaged model, {one_line(error)}; accepted is a whole one: put that file back, or "
            f"let overwrite=true train anew and move the folder aside, to {path.name}.damaged-1"
        ) from error
    if differences := differing(record, other):
        raise ConfigError(
            f"{path}: a model of another configuration is there ({one_line('; '.join(differences))}); {_WAYS}"
        )
    if TASK not in other:
        say(f"{path}: an earlier version did not note its program, which is taken to be the same")
    if bundle.certificate["certified"]:
        return Existing(path, True, ())
    return _uncertified(path, settings, bundle, other)


def _uncertified(path: Path, settings: Settings, bundle: Bundle, other: dict[str, Any]) -> Existing:
    """Finds an uncertified model where that is what was asked for."""
    trainer = other.get("trainer")
    steps = trainer.get("max_steps") if isinstance(trainer, dict) else None
    if settings.allow_uncertified and steps == settings.trainer.max_steps:
        return Existing(path, False, tuple(bundle.certificate["failed"]))
    raise ConfigError(
        f"{path}: a model that is not certified is there, with trainer.max_steps={one_line(steps)} and else the same "
        f"configuration; {_WAYS}"
    )


def make_room(settings: Settings, say: Callable[[str], None]) -> None:
    """Moves a damaged model aside before another takes its place.

    Args:
        settings: of the run, which say that the model may be replaced.
        say: is told where it is.
    """
    path = model_folder(settings)
    if not os.path.lexists(path):
        return
    try:
        read_bundle(path)
    except BundleError as error:
        say(f"{path}: found a damaged model, {one_line(error)}; moved aside to {set_aside(path)}")
