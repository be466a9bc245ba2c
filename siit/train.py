"""`python -m siit.train`: from a program to a certified model in a bundle.

python -m siit.train case=frac_prevs seed=2
python -m siit.train case=reverse model=interpbench seed=2
python -m siit.train -m case=reverse,histogram seed=4,5,6

It is a door: what it opens needs the extra `train`, and is loaded only then.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from siit._command_line import run
from siit._console import say
from siit._imports import kept_for_good

if TYPE_CHECKING:
    from omegaconf import DictConfig


def train(config: DictConfig) -> Path:
    """Trains, certifies and bundles one model; see `siit.training.fit.pipeline.train`.

    Args:
        config: as Hydra composes it.

    Returns:
        The model's folder, `<out>/<case>/seed-<seed>`.
    """
    from siit.training.fit import pipeline

    return pipeline.train(config)


def main() -> int:
    """Runs the command line, which mostly ends the process itself; returns the exit status."""
    if sys.stderr is not None and sys.stderr.isatty():
        say("siit.train: loading", error=True)
    return run(_run)


def _run() -> int:
    with kept_for_good():
        from siit.training.fit import command_line

    command_line.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
