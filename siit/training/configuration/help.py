"""The text of `python -m siit.train --help`: every group with its options, every field with its value and its meaning.

What a field means is the docstring beneath it; the help shows its first sentence.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import shutil
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

import tracr_cases
from siit.training.configuration.groups import BASE

COLUMN = 46
"""Where the meanings begin."""
WIDTH = 120
"""Of the text, where no terminal says otherwise."""


@cache
def field_docs(settings: type[Any]) -> dict[str, str]:
    """Reads the docstrings beneath the fields of a dataclass and of those that it extends, each in one line."""
    docs: dict[str, str] = {}
    for owner in reversed([one for one in settings.__mro__ if dataclasses.is_dataclass(one)]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(tree, ast.ClassDef)
        for line, beneath in zip(tree.body, tree.body[1:], strict=False):
            if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)):
                continue
            if isinstance(beneath, ast.Expr) and isinstance(beneath.value, ast.Constant):
                docs[line.target.id] = " ".join(str(beneath.value.value).split())
    return docs


def register_help() -> None:
    """Makes `${siit_groups:}` and `${siit_fields:}` known, of which conf/config.yaml composes the help."""
    OmegaConf.register_new_resolver("siit_groups", lambda *, _root_: _escaped(groups_text(_root_)), replace=True)
    OmegaConf.register_new_resolver("siit_fields", lambda *, _root_: _escaped(fields_text(_root_)), replace=True)


def _escaped(text: str) -> str:
    """Doubles the sign with which Hydra's help marks what it fills in."""
    return text.replace("$", "$$")


def groups_text(config: DictConfig) -> str:
    """Lists the groups, the option that is chosen in each, and the others."""
    loader = GlobalHydra.instance().config_loader()
    lines = []
    for group in sorted(set(loader.list_groups("")) - {"hydra", BASE}):
        options = loader.get_group_options(group)
        if group == "case":
            programs = set(tracr_cases.names())
            options = [
                f"{len(programs)} programs (`python -m siit.cases` lists them)",
                *(option for option in options if option not in programs),
            ]
        lines += _row(f"{group}={config.hydra.runtime.choices[group]}", ", ".join(options))
    return "\n".join(lines)


def fields_text(config: DictConfig) -> str:
    """Lists every field with its value and the first sentence of its meaning, a paragraph for each group."""
    own = {str(key): config[key] for key in config if key != "hydra"}
    paragraphs = [[line for key in own if not _is_group(own[key]) for line in _field(config, key, key)]]
    for group, node in own.items():
        if _is_group(node):
            title = f"{group}={config.hydra.runtime.choices[group]}"
            if dataclasses.is_dataclass(settings := OmegaConf.get_type(node)):
                title += f": {_first_sentence(inspect.getdoc(settings) or '')}"
            shown = [str(key) for key in node if not str(key).startswith("_")]
            paragraphs.append([title, *(line for key in shown for line in _field(node, key, f"{group}.{key}"))])
    return "\n\n".join("\n".join(lines) for lines in paragraphs)


def _is_group(value: Any) -> bool:
    return isinstance(value, DictConfig)


def _field(owner: DictConfig, key: Any, name: str) -> Iterator[str]:
    """Yields the lines of one field, and of those beneath it."""
    settings = OmegaConf.get_type(owner)
    documented = isinstance(settings, type) and dataclasses.is_dataclass(settings)
    meaning = field_docs(settings).get(str(key), "") if documented else ""
    given = not (OmegaConf.is_missing(owner, key) or OmegaConf.is_interpolation(owner, key))
    child = owner[key] if given else None
    if isinstance(child, DictConfig) and len(child):
        if meaning:
            yield from _row(f"{name}.*", _first_sentence(meaning))
        for beneath in child:
            yield from _field(child, beneath, f"{name}.{beneath}")
        return
    value = OmegaConf.to_container(owner)[key]
    text = value if isinstance(value, str) else json.dumps(value)
    yield from _row(f"{name}={text}", _first_sentence(meaning))


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", " ".join(text.split()), maxsplit=1)[0]


def _row(left: str, right: str) -> list[str]:
    """Sets two columns, the right one wrapped; a long left one has a line of its own."""
    columns = max(2 * COLUMN, shutil.get_terminal_size((WIDTH, 1)).columns)
    wrapped = textwrap.wrap(right, columns - COLUMN - 2, break_on_hyphens=False) or [""]
    if len(left) + 2 >= COLUMN:
        wrapped = ["", *wrapped]
    first = f"  {left}".ljust(COLUMN) + wrapped[0]
    return [line.rstrip() for line in (first, *(" " * COLUMN + line for line in wrapped[1:]))]
