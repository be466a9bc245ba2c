"""Starts a suite as the sweep of `python -m siit.train` that it is: `-m experiment=suite case=... seed=...`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from siit.suite.outcomes import outcomes
from siit.training.configuration.errors import ConfigError
from siit.training.configuration.overrides import quoted
from siit.training.fit import command_line
from siit.training.fit.sweep import SweepFolder

_FIXED = {"experiment": "one of its own", "hydra.sweep.dir": "its sweeps below out, where the report looks for them"}
"""What a suite sets by itself."""


def train_suite(cases: Sequence[str], seeds: Sequence[int], out: Path, overrides: Sequence[str]) -> tuple[int, bool]:
    """Trains each case with each seed, cases in their order.

    Args:
        cases: options of the group `case`.
        seeds: of each.
        out: root of the bundles.
        overrides: further ones of `python -m siit.train`, Hydra's launcher among them; the same for all models.

    Returns:
        The sweep's exit status, and whether it came to its end: else it was interrupted, or no job ever began.

    Raises:
        ConfigError: an override that a suite cannot have.
    """
    _check(overrides)
    sys.argv[1:] = suite_arguments(cases, seeds, out, overrides)
    try:
        command_line.run()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else command_line.BAD_USAGE
    stopped = status in (command_line.INTERRUPTED, command_line.TERMINATED)
    began = SweepFolder.current is not None and bool(outcomes(SweepFolder.current))
    return status, began and not stopped


def suite_arguments(cases: Sequence[str], seeds: Sequence[int], out: Path, overrides: Sequence[str]) -> list[str]:
    """Makes the arguments of `python -m siit.train`.

    Args:
        cases, seeds, out, overrides: see `train_suite`; not checked here.

    Returns:
        The arguments as a shell hands them over, without the program's name: a sweep over cases, and over seeds within
        each.
    """
    sweep = [f"case={','.join(cases)}", f"seed={','.join(map(str, seeds))}"]
    return ["-m", "experiment=suite", *sweep, f"out={quoted(out)}", *overrides]


def _check(overrides: Sequence[str]) -> None:
    """Raises ConfigError for what would make a suite another one; all else is left to `check_overrides`."""
    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException:
            continue
        if override.key_or_group in _FIXED:
            raise ConfigError(
                f"{text}: found in the command, accepted are others; a suite has {_FIXED[override.key_or_group]}"
            )
        if override.is_sweep_override():
            raise ConfigError(f"{text}: found several values, accepted is one; a suite sweeps over case and seed alone")
