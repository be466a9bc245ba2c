"""What a discovery method is: anything that is called with a task, and gives a score for every edge, or every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from siit.discovery.task import DiscoveryTask, Level


@runtime_checkable
class Method(Protocol):
    """Scores a task's edges, or its nodes, by name. Higher means on the circuit; signs are already taken off."""

    def __call__(self, task: DiscoveryTask) -> Mapping[str, float]:
        """Scores every edge, or every embedding, head and MLP."""


def by_name(names: Sequence[str], scores: Float[Tensor, " parts"]) -> dict[str, float]:
    """Names scores.

    Args:
        names: of edges or nodes, in the order of the scores.
        scores: one for each.
    """
    return dict(zip(names, scores.tolist(), strict=True))


def of_edges(task: DiscoveryTask, effects: Float[Tensor, " edges"], level: Level) -> dict[str, float]:
    """Makes scores of the effects of edges, which add up to those of their senders, to first order.

    Args:
        task: whose edges these are.
        effects: with their signs.
        level: whether edges or nodes are scored.
    """
    if level == "edge":
        return by_name(task.edges, effects.abs())
    total = effects.new_zeros(len(task.nodes)).index_add(0, task.edge_senders, effects)
    return by_name(task.nodes, total.abs())


def parts(task: DiscoveryTask, level: Level) -> Sequence[str]:
    """Lists the names of what is scored."""
    return task.edges if level == "edge" else task.nodes


class Parameters:
    """Checks the fields of a method when it is made: choices are among those of their types, counts from 1 on, seeds
    from 0 on.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(kind) is Literal:
                check_choice(name, value, get_args(kind))
            elif kind is int:
                least = 0 if name == "seed" else 1
                if type(value) is not int or value < least:
                    raise ValueError(f"{name}: found {value!r}, accepted is a whole number from {least} on")


def check_choice(name: str, value: object, accepted: Sequence[object]) -> None:
    """Checks a parameter.

    Raises:
        ValueError: names the parameter, what was found and what is accepted.
    """
    if value not in accepted:
        raise ValueError(f"{name}: found {value!r}, accepted: {', '.join(map(repr, accepted))}")


def zeros(task: DiscoveryTask, count: int) -> Float[Tensor, " count"]:
    """Makes sums to begin with, on the task's device."""
    return torch.zeros(count, device=task.device, dtype=task.model.embed.W_E.dtype)
