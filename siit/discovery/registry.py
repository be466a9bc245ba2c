"""Finds discovery methods by name: those of this package, and a user's own as `module:name`."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from siit.discovery import methods
from siit.discovery.method import Method

METHODS: Mapping[str, Callable[..., Method]] = {
    "exact": methods.ExactPatching,
    "exact_mean": functools.partial(methods.ExactPatching, by="mean"),
    "exact_zero": functools.partial(methods.ExactPatching, by="zero"),
    "exact_denoising": functools.partial(methods.ExactPatching, direction="denoising", by="resample"),
    "exact_nodes": functools.partial(methods.ExactPatching, level="node"),
    "eap": methods.AttributionPatching,
    "eap_nodes": functools.partial(methods.AttributionPatching, level="node"),
    "eap_ig_inputs": methods.InputGradients,
    "eap_ig_activations": methods.ActivationGradients,
    "mask_gradients": methods.MaskGradients,
    "acdc": methods.Acdc,
    "subnetwork_probing": methods.SubnetworkProbing,
    "edge_pruning": methods.EdgePruning,
    "hisp": methods.HeadImportance,
    "information_flow": methods.InformationFlow,
}
"""Name -> what makes the method; its parameters are those of the class."""


def find_method(name: str, **parameters: Any) -> Method:
    """Finds a method.

    Args:
        name: one of `METHODS`; or `module:function`, where the function takes a task and gives scores; or
            `module:Class`, whose objects do.
        parameters: of the method, by name.

    Raises:
        ValueError: no such method or parameter; names what was found and what is accepted.
    """
    method: Method = find_among(METHODS, name, parameters)
    return method


def find_among(methods: Mapping[str, Callable[..., Any]], name: str, parameters: Mapping[str, Any]) -> Any:
    """Finds a method of any kind, by the rules of `find_method`.

    Args:
        methods: name -> what makes the method.
        name, parameters: see `find_method`.

    Raises:
        ValueError: see `find_method`.
    """
    return given(maker(methods, name), name, parameters)


def maker(methods: Mapping[str, Callable[..., Any]], name: str) -> Callable[..., Any]:
    """Finds what makes a method: a class, or a function of a task and of parameters.

    Args:
        methods: name -> what makes the method.
        name: see `find_method`.

    Raises:
        ValueError: no such method.
    """
    return methods[name] if name in methods else _own(name, methods)


def given(make: Callable[..., Any], name: str, parameters: Mapping[str, Any]) -> Any:
    """Makes a method with parameters, and checks that it can be called with a task.

    Args:
        make: see `maker`.
        name: which errors name.
        parameters: by name.

    Raises:
        ValueError: a parameter that it does not have, or lacks.
    """
    try:
        if inspect.isclass(make.func if isinstance(make, functools.partial) else make):
            method: Any = make(**parameters)
            inspect.signature(method).bind(None)
        else:
            inspect.signature(make).bind(None, **parameters)
            method = functools.partial(make, **parameters) if parameters else make
    except TypeError as error:
        raise ValueError(f"method: {name}: {error}; found the parameters {sorted(parameters)}") from error
    return method


def _own(name: str, methods: Mapping[str, Callable[..., Any]]) -> Any:
    """Imports what a user's own name stands for."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"method: found {name!r}, accepted: module:function, {', '.join(methods)}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"method: {name}: {error}; accepted is a name in a module that can be imported") from error
    if not callable(found):
        raise ValueError(f"method: {name}: found {found!r}, accepted is a function or a class")
    return found
