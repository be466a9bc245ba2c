"""Reads a causal model's data (`causal_model.json`) field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from siit._text import shortened
from siit.causal.mechanisms import Class, Scalar, kind_of, mechanism_from_json
from siit.causal.variables import Variable
from siit.graph.limits import MAX_POSITIONS, MAX_VARIABLES, MAX_VOCAB

CAUSAL_MODEL_FORMAT = "siit-causal-model/1"
ScoredAt = Literal["all", "last"]
_FIELDS = ("format", "vocab", "max_len", "variables")
_OPTIONAL = ("scored_at", "inputs")
"""`inputs` is the declared input space, which `siit.tasks` reads."""
_OF_VARIABLES = ("name", "kind", "values", "description", "mechanism")


def read_model(data: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the arguments of `CausalModel` from what its `to_json` wrote.

    Args:
        data: the content of `causal_model.json`.

    Raises:
        ValueError: names the field or variable, what was found and what is accepted, on one line.
    """
    if not isinstance(data, Mapping) or data.get("format") != CAUSAL_MODEL_FORMAT:
        found = data.get("format") if isinstance(data, Mapping) else data
        raise ValueError(f"causal model: format: found {shortened(found)}, accepted is {CAUSAL_MODEL_FORMAT!r}")
    variables, where = [], ""
    try:
        _expect_fields(data, _FIELDS, _OPTIONAL)
        where = "vocab"
        max_len = check_max_len(data["max_len"])
        vocab = _values(data["vocab"])
        if len(vocab) > MAX_VOCAB:
            raise ValueError(f"found {len(vocab)} tokens, accepted are at most {MAX_VOCAB}")
        where = "variables"
        if not isinstance(data["variables"], list):
            raise TypeError(f"found {shortened(data['variables'])}, accepted is a list")
        if len(data["variables"]) > MAX_VARIABLES:
            raise ValueError(f"found {len(data['variables'])}, accepted are at most {MAX_VARIABLES}")
        for number, item in enumerate(data["variables"]):
            where = f"variables[{number}]"
            if not isinstance(item, Mapping):
                raise TypeError(f"found {shortened(item)}, accepted is an object")
            if isinstance(item.get("name"), str):
                where = f"variable {shortened(item['name'])}"
            variables.append(_variable(item))
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        place = f"{where}: " if where else ""
        if isinstance(error, KeyError):
            raise ValueError(f"causal model: {place}{error.args[0]}: found nothing, accepted is a value") from error
        raise ValueError(f"causal model: {place}malformed: {' '.join(str(error).split())}") from error
    return {
        "vocab": vocab,
        "max_len": max_len,
        "variables": variables,
        "scored_at": check_scored_at(data.get("scored_at", "all")),
    }


def check_max_len(found: object) -> int:
    """Raises ValueError unless this is a number of tokens."""
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found < MAX_POSITIONS:
        raise _wrong("max_len", found, f"a whole number from 1 to {MAX_POSITIONS - 1}")
    return found


def check_scored_at(found: Any) -> ScoredAt:
    """Raises ValueError unless this says where the answer counts."""
    if found not in get_args(ScoredAt):
        raise _wrong("scored_at", found, " or ".join(map(repr, get_args(ScoredAt))))
    return found


def _wrong(field: str, found: object, accepted: str) -> ValueError:
    return ValueError(f"causal model: {field}: found {shortened(found)}, accepted is {accepted}")


def _variable(item: Mapping[str, Any]) -> Variable:
    """Reads one variable."""
    _expect_fields(item, _OF_VARIABLES)
    for field in ("name", "description"):
        if not isinstance(item[field], str):
            raise TypeError(f"{field}: found {shortened(item[field])}, accepted is a text")
    values = None if item["values"] is None else _values(item["values"], Class)
    if item["kind"] != kind_of(values):
        raise ValueError(f"kind: found {shortened(item['kind'])}, accepted is {kind_of(values)!r} with these values")
    mechanism = mechanism_from_json(item["mechanism"], values is not None)
    return Variable(item["name"], values, mechanism, item["description"])


def _expect_fields(data: Mapping[str, Any], fields: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Raises KeyError for a field that is missing, ValueError for one that is unknown."""
    for field in fields:
        if field not in data:
            raise KeyError(field)
    for field in data:
        if field not in (*fields, *optional):
            raise ValueError(f"found the field {shortened(field)}, accepted: {', '.join((*fields, *optional))}")


def _values(data: Any, accepted: Any = Scalar) -> tuple[Any, ...]:
    """Reads what ids stand for."""
    if not isinstance(data, list) or not all(isinstance(value, accepted) for value in data):
        also = " (or null)" if accepted is Class else ""
        raise TypeError(f"values: found {shortened(data)}, accepted is a list of strings, numbers and booleans{also}")
    return tuple(data)
