"""The command line's own checks: Hydra says that a key or an option does not exist, this says which do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

import tracr_cases
from siit.training.configuration.location import conf_dir
from siit.training.configuration.settings import Settings, read_settings, unknown_key

_MAPS = ("case.alignment.heads", "case.alignment.nodes")
"""Maps whose keys are the program's variables."""


def register_cases() -> None:
    """Makes every case of the catalogue an option of the group `case`; a file conf/case/<name>.yaml goes first."""
    store, folder = ConfigStore.instance(), conf_dir() / "case"
    for name in tracr_cases.names():
        if not (folder / f"{name}.yaml").exists():
            store.store(group="case", name=name, node={"defaults": ["_catalogue"], "name": name})


def case_settings(name: str) -> Settings:
    """The settings of a case as the command line composes them, without any override."""
    register_cases()
    with _composer():
        return read_settings(compose("config", [f"case={name}"]))


@contextmanager
def _composer() -> Iterator[None]:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().clear()


def check_overrides(arguments: Sequence[str]) -> str | None:
    """What is wrong with the first override that names something that does not exist; None if nothing is."""
    texts = [text for text in arguments if "=" in text and not text.startswith("-")]
    try:
        overrides = OverridesParser.create().parse_overrides(texts)
    except HydraException as error:
        return str(error).splitlines()[0]
    with _composer():
        loader = GlobalHydra.instance().config_loader()
        groups = set(loader.list_groups(""))
        chosen = []
        for override in overrides:
            group = override.key_or_group
            if group in groups:
                value = override.value()
                names = [str(item) for item in getattr(value, "list", [value])]
                options = loader.get_group_options(group)
                for name in names:
                    if name not in options:
                        return _unknown_option(group, name, options)
                chosen.append(f"{group}={names[-1]}")
        config = compose("config", chosen)
        for override in overrides:
            key = override.key_or_group
            if key not in groups and not key.startswith("hydra") and not _exists(config, key):
                return unknown_key(config, key)
        try:
            if not any(override.is_sweep_override() for override in overrides):
                compose("config", open_maps(texts))
        except HydraException as error:
            return str(error).splitlines()[0]
    return None


def open_maps(arguments: Sequence[str]) -> list[str]:
    """The arguments, with overrides inside free-form maps marked as additions, which Hydra asks for."""
    return [f"++{text}" if text.startswith(_MAPS) else text for text in arguments]


def _exists(config: DictConfig, key: str) -> bool:
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    # `in` would deny what is there but has no value yet.
    return key.startswith(_MAPS) or (isinstance(node, DictConfig) and last in list(node.keys()))


def _unknown_option(group: str, name: str, options: Sequence[str]) -> str:
    accepted = [option for option in options if not option.startswith("_")]
    near = difflib.get_close_matches(name, accepted, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{group}: found {name!r}; {hint}accepted: {', '.join(accepted)}"
