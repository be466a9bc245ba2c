"""Registers the settings with Hydra: each group's options, and the bases that the files of conf/ change.

A base is no option: it is in the group `base`, which no command line can choose from. The files of conf/ begin with
one (`defaults: [/base/catalogue@_here_]`) and hold only what differs from its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

import tracr_cases
from siit.catalogue import drawn_name
from siit.graph.tiers import TIERS
from siit.training.configuration.location import conf_dir
from siit.training.configuration.loggers import CSVFile, NoLogger, TensorBoardFiles, WeightsAndBiases
from siit.training.configuration.model import ModelSettings
from siit.training.configuration.objective import ObjectiveSettings, plain_objective
from siit.training.configuration.programs import CatalogueCase, CustomCase, DrawnCase, program_name
from siit.training.configuration.sentences import SentenceCase
from siit.training.configuration.settings import RunSettings
from siit.training.configuration.trainer import TrainerSettings

BASE = "base"
"""The group of the bases."""
_DRAWN_NAME = drawn_name("${.tier}", "${.generator_seed}")
_OWN_NAME = "${siit_program_name:${oc.select:.program,custom}}"
"""As `siit.training.configuration.programs.program_name` gives it."""


@dataclass
class _Composed(RunSettings):
    """Holds what Hydra composes: what belongs to no group, and a place for each group's option."""

    case: Any = MISSING
    model: Any = MISSING
    objective: Any = MISSING
    trainer: Any = MISSING
    logger: Any = MISSING


@cache
def register_groups() -> None:
    """Makes every base known to Hydra, and every option that has no file in conf/; once in a process."""
    store = ConfigStore.instance()

    def add(group: str, options: dict[str, Any]) -> None:
        for name, node in options.items():
            store.store(group=group, name=name, node=node)

    add(BASE, {"settings": _Composed, "model": ModelSettings, "catalogue": CatalogueCase, "ioi": SentenceCase})
    add(BASE, {"objective": ObjectiveSettings, "plain_objective": plain_objective()})
    add("model", {"gpt2_style": ModelSettings})
    add("trainer", {"default": TrainerSettings})
    add("logger", {"csv": CSVFile, "none": NoLogger, "tensorboard": TensorBoardFiles, "wandb": WeightsAndBiases})
    OmegaConf.register_new_resolver("siit_program_name", program_name, replace=True)
    # The first of each tier has a name of its own, so that a sweep over cases can name it.
    add("case", {drawn_name(tier, 0): {"defaults": ["random"], "tier": tier, "generator_seed": 0} for tier in TIERS})
    add("case", {"custom": CustomCase(name=_OWN_NAME), "random": DrawnCase(name=_DRAWN_NAME)})
    folder = conf_dir() / "case"
    plain = [name for name in tracr_cases.names() if not (folder / f"{name}.yaml").exists()]
    add("case", {name: {"defaults": [f"/{BASE}/catalogue@_here_"], "name": name} for name in plain})
