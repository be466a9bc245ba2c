"""Finds settings that no job of a sweep can have, before any of them starts, or waits for a place on a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from siit.training.configuration.settings import ConfigError, read_settings
from siit.training.fit.sweep_jobs import composed, sweep_jobs, sweep_overrides


def common_refusal(config: DictConfig) -> str | None:
    """Says what is wrong with the settings of the first and of the last job alike; None where that is nothing.

    What is wrong with some jobs only, they report themselves.

    Args:
        config: of the sweep, as Hydra hands it to its callbacks.
    """
    parsed = sweep_overrides(config)
    if parsed is None:
        return None
    jobs = sweep_jobs(parsed)
    first, last = _refusal(config, jobs[0]), _refusal(config, jobs[-1])
    return first if first == last else None


def _refusal(config: DictConfig, job: Sequence[str]) -> str | None:
    """Says what is wrong with a job's settings; None too where they cannot be composed, which Hydra reports."""
    try:
        with composed(config, job) as found:
            read_settings(found)
    except ConfigError as error:
        return str(error)
    except (HydraException, OmegaConfBaseException):
        pass
    return None
