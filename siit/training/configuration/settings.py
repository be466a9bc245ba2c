"""The whole configuration of a run, typed: the one source of defaults, and the reading of what Hydra composed.

Each group has a module of its own; `siit.training.configuration.groups` hands the classes to Hydra.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from siit.training.configuration.case import AlignmentSettings, CaseSettings
from siit.training.configuration.cases import case_type
from siit.training.configuration.draws import TermSettings
from siit.training.configuration.errors import ConfigError, require
from siit.training.configuration.faults import explain, unknown_key
from siit.training.configuration.loggers import CSVFile
from siit.training.configuration.model import ModelSettings
from siit.training.configuration.objective import ObjectiveSettings, plain_objective, terms_of
from siit.training.configuration.programs import LARGEST_SEED, CatalogueCase
from siit.training.configuration.trainer import TrainerSettings

__all__ = [
    "AlignmentSettings",
    "CaseSettings",
    "ConfigError",
    "ModelSettings",
    "ObjectiveSettings",
    "RunSettings",
    "Settings",
    "TrainerSettings",
    "read_settings",
    "terms_of",
]


@dataclass
class RunSettings:
    """Holds what belongs to no group."""

    seed: int = 0
    """Seed of the alignment, the initial weights and every batch, 0 to 2147483647; a run is repeatable bit for bit on
    CPU."""
    out: str = "checkpoints"
    """Root of the bundles: the model goes to <out>/<case>/seed-<seed>."""
    resume: bool = True
    """Whether an interrupted run is continued, and a finished one left as it is; false starts anew. It may replace the
    model that is there, but not a certified one by one that is not."""
    overwrite: bool = False
    """Whether the model that is there is replaced, whatever it is."""
    allow_uncertified: bool = False
    """Whether a model that fails its certificate is put into a bundle all the same, marked as uncertified."""

    def check(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigError: a seed that cannot be.
        """
        require("seed", self.seed, 0 <= self.seed <= LARGEST_SEED, f"an integer from 0 to {LARGEST_SEED}")


@dataclass
class Settings(RunSettings):
    """Holds all of one run's configuration; `Settings()` is what the command line composes without an override."""

    case: CaseSettings = field(default_factory=lambda: CatalogueCase(name="frac_prevs"))
    """What is trained: a causal model with its inputs, and a recipe."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """The transformer."""
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    """What is minimised."""
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    """How it is minimised, and on what."""
    logger: dict[str, Any] = field(default_factory=lambda: asdict(CSVFile()))
    """Where metrics go: `_target_`, what makes a logger of Lightning's, with its arguments."""


def read_settings(config: DictConfig) -> Settings:
    """Checks a composed configuration's keys, types and ranges.

    Raises:
        ConfigError: names the key, what was found and what is accepted.
    """
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error
    case, objective = (found if isinstance(found := plain.get(name), dict) else {} for name in ("case", "objective"))
    # Defaults fill no gaps in what was composed: its terms are all the terms, its logger is the whole logger.
    schema = Settings(case=case_type(case.get("_target_"))(), objective=plain_objective(), logger={})
    terms = objective.get("terms")
    schema.objective.terms = {name: TermSettings() for name in terms} if isinstance(terms, dict) else {}
    structured = OmegaConf.structured(schema)
    try:
        merged = OmegaConf.merge(structured, plain)
        if missing := list(dict.fromkeys([*_missing(plain), *sorted(OmegaConf.missing_keys(merged))])):
            raise ConfigError(f"{', '.join(missing)}: missing, accepted is a value: {'=... '.join(missing)}=...")
        settings: Any = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        key = str(error.full_key or error.key)
        raise ConfigError(unknown_key(structured, key, OmegaConf.select(config, key))) from error
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(settings, Settings)
    for part in (settings, settings.model, settings.trainer, settings.objective, settings.case):
        part.check()
    return settings


def _missing(plain: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yields the full names of fields that wait for a value, in their order."""
    for key, value in plain.items():
        if isinstance(value, dict):
            yield from _missing(value, f"{prefix}{key}.")
        elif value == MISSING:
            yield f"{prefix}{key}"
