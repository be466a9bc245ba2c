"""Says in one line what is wrong with a key or a value: what was found, and what is accepted."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Iterable
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from siit.training.configuration.case import CaseSettings
from siit.training.configuration.cases import other_cases_key

_WORDS: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "a string",
    list: "a list",
    dict: "a map",
    types.NoneType: "null",
}


def unknown_key(config: DictConfig, key: str, found: Any = None) -> str:
    """Says of a key that does not exist which do, at the deepest level that the key reaches.

    Args:
        config: the configuration that has it not.
        key: the key's full name.
        found: the value that it was given.
    """
    group, _, own = key.partition(".")
    case = OmegaConf.get_type(config, "case") if group == "case" else None
    if isinstance(case, type) and issubclass(case, CaseSettings) and (refused := other_cases_key(case, own, found)):
        return refused
    known: Any = config
    path: list[str] = []
    for part in re.split(r"[.\[\]]+", key):
        accepted = [str(name) for name in list(known) if str(name) != part]
        if part in known and isinstance(known[part], DictConfig):
            known, path = known[part], [*path, part]
            continue
        near = difflib.get_close_matches(part, accepted, n=1)
        where = ".".join(path) or "the top level"
        hint = f"; did you mean {'.'.join([*path, near[0]])}?" if near else ""
        return f"{key}: no such key in {where}, accepted: {', '.join(accepted)}{hint}"
    return f"{key}: no such key"


def unknown_option(group: str, name: str, options: Iterable[str], listed_by: str | None = None) -> str:
    """Says of an option that a group has not which are near, and which there are.

    Args:
        group: such as `case`.
        name: what was found.
        options: those of the group.
        listed_by: the command that lists them, where they are too many for a message.
    """
    options = list(options)
    near = difflib.get_close_matches(name, options, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    accepted = f"accepted: {', '.join(options)}" if listed_by is None else f"`{listed_by}` lists all"
    return f"{group}: found {name!r}; {hint}{accepted}"


def explain(error: BaseException) -> str:
    """Says what an error of a library is about: the key, what was found and what is accepted, where the error tells.

    Args:
        error: of OmegaConf, or of Hydra with one of OmegaConf as its cause.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__
    if cause is None:
        return str(error).splitlines()[0]
    key, owner = str(cause.full_key or ""), cause.object_type
    field = key.rpartition(".")[2]
    if dataclasses.is_dataclass(owner) and field in (hints := get_type_hints(owner)):
        return f"{key}: found {cause.value!r}, accepted is {in_words(hints[field])}"
    first_line = str(cause).splitlines()[0]
    return f"{key}: {first_line}" if key else first_line


def in_words(hint: Any) -> str:
    """Names the values of a field's type."""
    if isinstance(hint, types.UnionType):
        return " or ".join(map(in_words, get_args(hint)))
    if dataclasses.is_dataclass(hint):
        return f"a map of {', '.join(field.name for field in dataclasses.fields(hint))}"
    return _WORDS.get(get_origin(hint) or hint, str(hint))
