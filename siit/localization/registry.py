"""Finds methods that locate variables by name: those of this package, and a user's own as `module:name`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from siit.discovery.registry import find_among
from siit.localization import methods
from siit.localization.task import VariableTask


@runtime_checkable
class Locator(Protocol):
    """Scores a task's nodes by name. Higher means that the node carries the variable."""

    def __call__(self, task: VariableTask) -> Mapping[str, float]:
        """Scores every embedding, head and MLP."""


METHODS: Mapping[str, Callable[..., Locator]] = {
    "probing": methods.Probing,
    "interchange": methods.NodeInterchange,
    "das": methods.DistributedAlignmentSearch,
}
"""Name -> what makes the method; its parameters are those of the class."""


def find_locator(name: str, **parameters: Any) -> Locator:
    """Finds a method.

    Args:
        name: one of `METHODS`; or `module:function`, where the function takes a task and gives scores; or
            `module:Class`, whose objects do.
        parameters: of the method, by name.

    Raises:
        ValueError: no such method or parameter; names what was found and what is accepted.
    """
    method: Locator = find_among(METHODS, name, parameters)
    return method
