"""The command line's own checks: Hydra says that a key or an option does not exist, this says which do."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from siit.training.configuration.faults import explain, unknown_key, unknown_option
from siit.training.configuration.groups import BASE, register_groups
from siit.training.configuration.location import conf_dir
from siit.training.configuration.settings import Settings, read_settings

_MAPS = ("case.alignment.heads", "case.alignment.nodes")
"""Maps whose keys are the program's variables."""
_PLAIN = re.compile(r"[A-Za-z_/.][\w/.-]*")
_LISTED_BY = {"case": "python -m siit.cases"}
"""Commands that list a group's options, where they are too many for a message."""


def composed(*overrides: str) -> DictConfig:
    """Composes the configuration as the command line does.

    Raises:
        HydraException: overrides that `check_overrides` would refuse.
    """
    with _composer():
        return compose("config", open_maps(overrides))


def case_settings(name: str) -> Settings:
    """Composes and reads the settings of a case, without any other override."""
    return read_settings(composed(f"case={name}"))


@contextmanager
def _composer() -> Iterator[None]:
    register_groups()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().clear()


def check_overrides(arguments: Sequence[str]) -> str | None:
    """Says what is wrong with the first override that cannot be; None if nothing is.

    Every option and every value of a sweep is looked at: a sweep does not stop at a typing error after hours.
    """
    texts = [text for text in arguments if ("=" in text or text.startswith("~")) and not text.startswith("-")]
    overrides, parser = [], OverridesParser.create()
    for text in texts:
        try:
            overrides.append(parser.parse_override(text))
        except HydraException as error:
            return f"{text}: {explain(error)}{_how_to_quote(text)}"
    with _composer():
        loader = GlobalHydra.instance().config_loader()
        groups = set(loader.list_groups("")) - {BASE}
        chosen: dict[str, list[str]] = {}
        fields = []
        for override in overrides:
            group = override.key_or_group
            if group not in groups or override.is_delete() or isinstance(override.value(), dict):
                if not group.startswith("hydra"):
                    fields.append(override)
                continue
            options = loader.get_group_options(group)
            chosen[group] = [str(name) for name in _values(override, options)]
            for name in chosen[group]:
                if name not in options:
                    return unknown_option(group, name, options, _LISTED_BY.get(group))
        try:
            for together in _choices(chosen, fields):
                config = compose("config", together)
                for override in fields:
                    if (fault := _fault(config, override)) is not None:
                        return fault
            if not any(override.is_sweep_override() for override in overrides):
                compose("config", open_maps(texts))
        except HydraException as error:
            return explain(error)
    return None


def _how_to_quote(text: str) -> str:
    """Says how to write what the parser would take apart, with the value as far as it was a list."""
    key, _, value = text.partition("=")
    if not value.startswith("["):
        return f"; accepted are signs such as ( {{ * ' only in quotes: '{key}=\"...\"'"
    tokens = [token.strip().strip("\"'") for token in value.strip("[]").split(",")]
    quoted = ",".join(json.dumps(token, ensure_ascii=False) for token in tokens)
    return f"; accepted are signs such as ( {{ * ' only in quotes: {shlex.quote(f'{key}=[{quoted}]')}"


def _values(override: Override, options: Sequence[str] = ()) -> list[Any]:
    """Lists the values that an override gives, of which only a sweep has several.

    Args:
        override: of a field or a group.
        options: what a pattern (`case=glob(ioi*)`) chooses from.
    """
    value = override.value()
    if isinstance(value, Glob):
        return value.filter(list(options))
    if not override.is_sweep_override():
        return [value]
    return list(override.sweep_iterator()) if override.is_discrete_sweep() else []


def _choices(chosen: dict[str, list[str]], fields: Sequence[Override]) -> list[list[str]]:
    """Lists which options to compose together: the last of each group, and all of a group of which fields are set."""
    last = {group: names[-1] for group, names in chosen.items() if names}
    found = [last]
    for group, names in chosen.items():
        if any(override.key_or_group.startswith(f"{group}.") for override in fields):
            found += [{**last, group: name} for name in names[:-1]]
    return [[f"{group}={name}" for group, name in options.items()] for options in found]


def _fault(config: DictConfig, override: Override) -> str | None:
    """Says what is wrong with the key of an override, or with a value of a wrong type."""
    key = override.key_or_group
    if key.startswith(_MAPS):
        return None
    parent, _, last = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    values = _values(override)
    # `in` would deny what is there but has no value yet.
    if not isinstance(node, DictConfig) or last not in list(node.keys()):
        return unknown_key(config, key, next(iter(values), None))
    if override.is_delete():
        return f"~{key}: found in the command, accepted are other values; nothing can be left out"
    for value in values:
        try:
            OmegaConf.update(config.copy(), key, value)
        except ConfigKeyError as error:
            return unknown_key(config, str(error.full_key))
        except OmegaConfBaseException as error:
            return explain(error)
    return None


def quoted(value: str | Path) -> str:
    """Writes a text so that Hydra takes it as it is, in quotes where it must be."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    text = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def open_maps(arguments: Sequence[str]) -> list[str]:
    """Marks overrides inside free-form maps as additions, which Hydra asks for."""
    return [f"++{text}" if text.startswith(_MAPS) else text for text in arguments]
