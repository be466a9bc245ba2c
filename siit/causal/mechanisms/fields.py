"""Reads single fields of a mechanism's JSON strictly: nothing is converted, so nothing passes as something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from siit._text import shortened
from siit.graph.limits import MAX_TABLE_ENTRIES

_LARGEST = torch.finfo(torch.float32).max


def fits_float32(value: int | float) -> bool:
    """Tells whether a number is finite as float32, in which all numerical values are."""
    return abs(value) <= _LARGEST


def text(data: Mapping[str, Any], field: str) -> str:
    """Reads a text.

    Raises:
        KeyError: there is no such field.
        TypeError: names the field, what was found and what is accepted.
    """
    value = data[field]
    if not isinstance(value, str):
        raise _wrong(field, value, "a text")
    return value


def texts(data: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Reads a list of texts.

    Raises:
        KeyError: there is no such field.
        TypeError: names the field, what was found and what is accepted.
    """
    value = data[field]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(field, value, "a list of texts")
    return tuple(value)


def flag(data: Mapping[str, Any], field: str) -> bool:
    """Reads true or false.

    Raises:
        KeyError: there is no such field.
        TypeError: names the field, what was found and what is accepted.
    """
    value = data[field]
    if not isinstance(value, bool):
        raise _wrong(field, value, "true or false")
    return value


def number(data: Mapping[str, Any], field: str) -> float:
    """Reads a finite number.

    Raises:
        KeyError: there is no such field.
        TypeError: names the field, what was found and what is accepted.
    """
    return _number(data[field], field)


def numbers(data: Mapping[str, Any], field: str) -> tuple[float, ...]:
    """Reads a list of finite numbers.

    Raises:
        KeyError: there is no such field.
        TypeError: names the field, what was found and what is accepted.
    """
    value = data[field]
    if not isinstance(value, list):
        raise _wrong(field, value, "a list of numbers")
    return tuple(_number(item, field) for item in value)


def ids(data: Mapping[str, Any], field: str, ndim: int | None = None) -> Tensor:
    """Reads nested lists of integers, int64; of so many dimensions, if that is given.

    Raises:
        KeyError: there is no such field.
        TypeError: names the field, what was found and what is accepted.
        ValueError: more entries than a table may have, lists of unequal lengths, or an integer of more than 64 bits.
    """

    def entry(value: object) -> int:
        if type(value) is not int:
            raise _wrong(field, value, "an integer")
        return value

    return _of(ndim, torch.tensor(_nested(_bounded(data, field), entry), dtype=torch.int64), field)


def floats(data: Mapping[str, Any], field: str, ndim: int | None = None) -> Tensor:
    """Reads nested lists of numbers, float32, null being NaN; of so many dimensions, if that is given.

    Raises:
        KeyError: there is no such field.
        TypeError: names the field, what was found and what is accepted.
        ValueError: more entries than a table may have, or lists of unequal lengths.
    """

    def entry(value: object) -> float:
        return torch.nan if value is None else _number(value, field)

    return _of(ndim, torch.tensor(_nested(_bounded(data, field), entry), dtype=torch.float32), field)


def listed(tensor: Tensor) -> Any:
    """Gives nested lists, with None for NaN, which JSON does not know."""
    return _nested(tensor.tolist(), lambda value: None if value != value else value)


def _bounded(data: Mapping[str, Any], field: str) -> Any:
    """Gives nested lists, once they are known to have no more entries than a table may."""
    lists, entries = [data[field]], 0
    while lists:
        found = lists.pop()
        if isinstance(found, list):
            entries += len(found)
            lists += (item for item in found if isinstance(item, list))
        if entries > MAX_TABLE_ENTRIES:
            raise ValueError(f"{field}: found more than {MAX_TABLE_ENTRIES:,} entries, accepted are at most that many")
    return data[field]


def _nested(data: Any, entry: Callable[[Any], Any]) -> Any:
    return [_nested(item, entry) for item in data] if isinstance(data, list) else entry(data)


def _of(ndim: int | None, tensor: Tensor, field: str) -> Tensor:
    if ndim is not None and tensor.ndim != ndim:
        raise TypeError(f"{field}: found a list of dimension {tensor.ndim}, accepted is one of dimension {ndim}")
    return tensor


def _number(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits_float32(value):
        raise _wrong(field, value, "a number that is finite as float32")
    return float(value)


def _wrong(field: str, found: object, accepted: str) -> TypeError:
    return TypeError(f"{field}: found {shortened(found)}, accepted is {accepted}")
