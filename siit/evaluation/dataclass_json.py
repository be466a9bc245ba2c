"""Turns frozen dataclasses into plain JSON and back; the reader takes exactly the fields and types they declare."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from siit._text import shortened

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Makes of a dataclass, and all within it, what JSON has words for."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], data: Any, where: str = "") -> T:
    """Reads what `to_plain` made.

    Args:
        kind: the dataclass.
        data: what JSON gave.
        where: path of the field within the file, for messages.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """
    return _read(kind, data, where)


def _read(kind: Any, data: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _object(kind, data, where)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in inner:
            return None
        return _first(inner, data, where)
    if origin is Literal:
        return _checked(data in inner, data, where, f"one of {', '.join(map(str, inner))}", data)
    if origin is tuple:
        _checked(isinstance(data, list), data, where, "a list")
        return tuple(_read(inner[0], item, f"{where}[{place}]") for place, item in enumerate(data))
    if origin is not None:
        _checked(isinstance(data, dict), data, where, "an object")
        return {key: _read(inner[1], item, f"{where}.{key}") for key, item in data.items()}
    if kind is float:
        # NaN, infinities and integers that are too large for a float are none of these.
        fits = type(data) in (int, float) and abs(data) <= sys.float_info.max
        return float(_checked(fits, data, where, "a finite number", data))
    return _checked(type(data) is kind, data, where, f"of type {kind.__name__}", data)


def _object(kind: Any, data: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    # What earlier versions did not write is None by default.
    later = {field.name for field in dataclasses.fields(kind) if field.default is None}
    _checked(isinstance(data, dict), data, where, "an object")
    if odd := sorted(set(data) - set(names) | set(names) - set(data) - later):
        raise ValueError(f"{where or 'fields'}: found {'no ' if odd[0] in names else ''}{odd[0]}, accepted are {names}")
    dot = f"{where}." if where else ""
    read = {name: _read(hints[name], data[name], f"{dot}{name}") for name in names if name in data}
    try:
        return kind(**read)
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from error


def _first(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    """Reads data as the first of several types that it has."""
    for kind in kinds:
        if kind is type(data) or (dataclasses.is_dataclass(kind) and isinstance(data, dict)):
            return _read(kind, data, where)
    accepted = " or ".join("null" if kind is type(None) else getattr(kind, "__name__", str(kind)) for kind in kinds)
    return _read(kinds[0], data, where) if len(kinds) == 2 else _checked(False, data, where, accepted)


def _checked(holds: bool, found: object, where: str, accepted: str, value: Any = None) -> Any:
    if not holds:
        raise ValueError(f"{where or 'content'}: found {shortened(found)}, accepted is {accepted}")
    return value
