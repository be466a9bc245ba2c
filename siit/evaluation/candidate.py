"""Finds what is evaluated: a method, by name or one's own, or a reference that is none.

References see what no method may see:

- `labels`: the certified labels themselves, which must reach 1;
- `structure`: the structure null, which knows the program and the rule of placement, and neither seed nor weights;
- `random`: a random order.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from siit._command_line import suggestion
from siit.discovery import METHODS
from siit.discovery.registry import given, maker
from siit.evaluation.result import EvaluationSetting, Parameter
from siit.graph.architecture import EMBEDDINGS, components, edges
from siit.loading import LoadedCircuit
from siit.scoring.structure import edge_probabilities, node_probabilities

Scores = Mapping[Any, Any]


@dataclass(frozen=True, eq=False)
class Candidate:
    """What is evaluated.

    Attributes:
        name: of the method, or the reference.
        run: gives scores; a reference looks at what is known of a model alone, a method at the task alone.
        parameters: of the method.
        sha256: of the file of a method of one's own.
    """

    name: str
    run: Callable[[Any, Any], Scores]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    sha256: str | None = None


def candidate(method: str | Callable[..., Scores], setting: EvaluationSetting) -> Candidate:
    """Finds a discovery method or a reference, and gives it the setting's ablation and seed where it takes them.

    A method takes an ablation as its parameter `by`, a seed as `seed`. One whose name says what it replaces by, such as
    `exact_mean`, keeps that.

    Args:
        method: a reference's name, one of `siit.discovery.METHODS`, `module:name`, or a function of a task
            (and of `by` and `seed`, if it likes).
        setting: how it is run.

    Raises:
        ValueError: no such method, or none that can be called with a task.
    """
    return candidate_among(METHODS, REFERENCES, method, {"by": setting.ablation, "seed": setting.seed})


def candidate_among(
    methods: Mapping[str, Callable[..., Any]],
    references: Mapping[str, Callable[[Any, int], Scores]],
    method: str | Callable[..., Scores],
    offered: Mapping[str, Any],
) -> Candidate:
    """Finds a method of any kind, or a reference.

    Args:
        methods: name -> what makes the method.
        references: name -> what gives its scores, of what is known of a model and a seed.
        method: a name of either, `module:name`, or a function of a task.
        offered: parameters that a method may take, `seed` among them.

    Raises:
        ValueError: see `candidate`.
    """
    if not isinstance(method, str):
        own = given(method, _name(method), _taken(method, offered))
        return Candidate(_name(method), lambda _, task: own(task), _parameters(own), _digest(method))
    if method in references:
        reference = references[method]
        return Candidate(method, lambda known, _: reference(known, offered["seed"]))
    if method not in methods and ":" not in method:
        accepted = (*methods, *references)
        hint = suggestion(method, accepted)
        raise ValueError(f"method: found {method!r}; {hint}accepted are module:function, {', '.join(accepted)}")
    make = maker(methods, method)
    found = given(make, method, _taken(make, offered))
    digest = None if method in methods else _digest(make)
    return Candidate(method, lambda _, task: found(task), _parameters(found), digest)


def _taken(make: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Chooses what of the offered parameters a method takes, and its name does not fix."""
    fixed = make.keywords if isinstance(make, functools.partial) else {}
    accepted = inspect.signature(make).parameters
    return {name: value for name, value in offered.items() if name in accepted and name not in fixed}


def _parameters(method: Any) -> dict[str, Parameter]:
    """Lists a method's parameters, where it is a dataclass or has some given; what is no plain value as text."""
    if dataclasses.is_dataclass(method):
        given = {one.name: getattr(method, one.name) for one in dataclasses.fields(method)}
    else:
        given = method.keywords if isinstance(method, functools.partial) else {}
    return {
        name: value if value is None or isinstance(value, str | int | float) else repr(value)
        for name, value in given.items()
    }


def _name(method: Any) -> str:
    home = _home(method)
    return f"{home.__module__}:{home.__qualname__}"


def _home(method: Any) -> Any:
    """Finds the function or class that a method is, or is made of."""
    while isinstance(method, functools.partial):
        method = method.func
    return method if inspect.isroutine(method) or inspect.isclass(method) else type(method)


def _digest(method: Any) -> str | None:
    """Hashes the file in which a method is written; None where there is none, as in a notebook."""
    try:
        path = inspect.getsourcefile(_home(method))
        return None if path is None else hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (TypeError, OSError):
        return None


def _labels(model: LoadedCircuit, seed: int) -> Scores:
    circuit = model.circuit
    on = {*circuit.unit_of, *(edge.sender for edge in circuit.carries)}
    return {str(edge): float(edge in circuit.carries) for edge in edges(model.config)} | {
        node: float(node in on) for node in _nodes(model)
    }


def _structure(model: LoadedCircuit, seed: int) -> Scores:
    return {str(edge): chance for edge, chance in edge_probabilities(model.circuit).items()} | node_probabilities(
        model.circuit
    )


def _random(model: LoadedCircuit, seed: int) -> Scores:
    """Draws scores, other ones for each model."""
    generator = np.random.default_rng([seed, model.seed, zlib.crc32(model.case.encode())])
    names = [*map(str, edges(model.config)), *_nodes(model)]
    return dict(zip(names, generator.random(len(names)).tolist(), strict=True))


def _nodes(model: LoadedCircuit) -> list[str]:
    return [*EMBEDDINGS, *components(model.config)]


REFERENCES: Mapping[str, Callable[[LoadedCircuit, int], Scores]] = {
    "labels": _labels,
    "structure": _structure,
    "random": _random,
}
"""Name -> what gives its scores of a model, with a seed."""
