"""Lists the jobs of a sweep before any of them starts, as Hydra's own sweeper will."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, flag_override


def sweep_overrides(config: DictConfig) -> list[Override] | None:
    """Parses what a sweep's jobs are made of; None where another sweeper draws its jobs while it runs.

    Args:
        config: of the sweep, as Hydra hands it to its callbacks.
    """
    if not str(config.hydra.sweeper.get("_target_")).endswith(f".{BasicSweeper.__name__}"):
        return None
    # Not resolved: ${...} is another value in each job.
    plain: Any = OmegaConf.to_container(config, resolve=False)
    params: dict[str, Any] = plain["hydra"]["sweeper"].get("params") or {}
    # The command line's own come last, as with Hydra's sweeper.
    texts = [*(f"{key}={value}" for key, value in params.items()), *plain["hydra"]["overrides"]["task"]]
    parsed: list[Override] = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(texts)
    return parsed


def sweep_jobs(overrides: Sequence[Override]) -> list[list[str]]:
    """Lists each job's own overrides, in the order of the jobs' numbers."""
    return [list(job) for batch in BasicSweeper.split_arguments(list(overrides), None) for job in batch]


@contextmanager
def composed(config: DictConfig, job: Sequence[str]) -> Iterator[DictConfig]:
    """Composes the configuration of one job, whose ${hydra:...} can be resolved inside of the block.

    Args:
        config: of the sweep, as Hydra hands it to its callbacks.
        job: its own overrides.

    Raises:
        HydraException: what cannot be composed.
    """
    known, before = HydraConfig.instance(), HydraConfig.instance().cfg
    found: DictConfig = GlobalHydra.instance().config_loader().load_sweep_config(config, list(job))
    known.set_config(found)
    with flag_override(found, ["readonly", "struct"], False):
        del found["hydra"]  # as Hydra hands it to the job
    try:
        yield found
    finally:
        known.cfg = before


def key_and_value(text: str) -> tuple[str, str]:
    """Splits an override in two, without the signs before its key."""
    key, _, value = text.partition("=")
    return key.lstrip("+~"), value
