"""Finds jobs of a sweep that would put their models into one folder, before any of them starts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from siit.training.fit.sweep_jobs import composed, key_and_value, sweep_jobs, sweep_overrides


def shared_folders(config: DictConfig) -> str | None:
    """Says which jobs of a sweep would share a folder, and what to add to `out`; None if none would.

    Args:
        config: of the sweep, as Hydra hands it to its callbacks.
    """
    parsed = sweep_overrides(config)
    if parsed is None:
        return None
    jobs = sweep_jobs(parsed)
    swept = {override.key_or_group for override in parsed if override.is_sweep_override()}
    named = any(override.key_or_group == "case.name" for override in parsed)
    if swept <= {"case", "seed"} and not named and len(set(map(tuple, jobs))) == len(jobs):
        return None  # other cases and seeds have other folders; to compose hundreds of jobs takes a while
    folders: dict[Path, list[list[str]]] = defaultdict(list)
    for job in jobs:
        folder = _folder(config, job)
        if folder is not None:
            folders[folder].append(job)
    for folder, sharing in folders.items():
        if len(sharing) > 1:
            plain: Any = OmegaConf.to_container(config, resolve=False)
            groups = set(GlobalHydra.instance().config_loader().list_groups(""))
            return _refusal(folder, sharing, str(plain["out"]), groups)
    return None


def _folder(config: DictConfig, overrides: list[str]) -> Path | None:
    """Tells where a job's model goes; None where its configuration cannot say, which the job itself reports."""
    try:
        with composed(config, overrides) as job:
            out, case, seed = str(job.out), str(job.case.name), str(job.seed)
    except (HydraException, OmegaConfBaseException):
        return None
    return Path(out).absolute() / case / f"seed-{seed}"


def _refusal(folder: Path, sharing: Sequence[Sequence[str]], out: str, groups: set[str]) -> str:
    both = [dict(key_and_value(text) for text in job) for job in sharing]
    keys = [key for key in both[0] if any(other.get(key) != both[0][key] for other in both[1:])]
    found = f"{len(sharing)} jobs of this sweep would train one model, {folder}"
    if not keys:
        return f"{found}: they are all the same; accepted are different jobs"
    names = [f"{key.rpartition('.')[2]}-{_reference(key, groups)}" for key in keys]
    suggested = "/".join([out, *names])
    return f"{found}: they differ in {', '.join(keys)}. Let each have a root of its own: out='{suggested}'"


def _reference(key: str, groups: set[str]) -> str:
    return f"${{hydra:runtime.choices.{key}}}" if key in groups else f"${{{key}}}"
