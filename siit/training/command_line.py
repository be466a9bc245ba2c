"""The command line's own checks: Hydra says that a key or an option does not exist, this says which do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

import tracr_cases
from siit._conf import conf_dir
from siit.training.settings import unknown_key


def register_cases() -> None:
    """Makes every case of the catalogue an option of the group `case`; a file conf/case/<name>.yaml goes first."""
    store = ConfigStore.instance()
    for name in tracr_cases.names():
        store.store(group="case", name=name, node={"defaults": ["_catalogue"], "name": name})


def check_overrides(arguments: Sequence[str]) -> str | None:
    """What is wrong with the first override that names something that does not exist; None if nothing is."""
    texts = [text for text in arguments if "=" in text and not text.startswith("-")]
    try:
        overrides = OverridesParser.create().parse_overrides(texts)
    except HydraException as error:
        return str(error).splitlines()[0]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            groups = set(loader.list_groups(""))
            chosen = []
            for override in overrides:
                if override.key_or_group in groups:
                    options = loader.get_group_options(override.key_or_group)
                    values = override.value()
                    names = [str(value) for value in getattr(values, "list", [values])]
                    for name in names:
                        if name not in options:
                            return _unknown_option(override.key_or_group, name, options)
                    chosen.append(f"{override.key_or_group}={names[-1]}")
            config = compose("config", chosen)
            for override in overrides:
                key = override.key_or_group
                if key not in groups and not key.startswith("hydra") and not _exists(config, key):
                    return unknown_key(config, key)
    finally:
        GlobalHydra.instance().clear()
    return None


def _exists(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    # Free-form maps, such as case.alignment.heads, take new keys.
    return isinstance(node, DictConfig) and (last in node or (not len(node) and bool(parent)))


def _unknown_option(group: str, name: str, options: Sequence[str]) -> str:
    accepted = [option for option in options if not option.startswith("_")]
    near = difflib.get_close_matches(name, accepted, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{group}: found {name!r}; {hint}accepted: {', '.join(accepted)}"
