"""What is drawn for each example: the interchange, the off-circuit parts that are replaced, and by what."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.exchanges import NONE

RESAMPLE, MEAN, ZERO = 0, 1, 2


def _check_probabilities(draw: object) -> None:
    values = {field.name: getattr(draw, field.name) for field in dataclasses.fields(draw)}  # type: ignore[arg-type]
    if any(value < 0 for value in values.values()) or abs(sum(values.values()) - 1) > 1e-6:
        raise ValueError(f"{type(draw).__name__}: found {values}, accepted are probabilities that sum to 1")


def _categories(draw: object, count: int, device: torch.device, generator: torch.Generator) -> Int[Tensor, " batch"]:
    """The index of the drawn field, for each example."""
    weights = torch.tensor([getattr(draw, field.name) for field in dataclasses.fields(draw)])  # type: ignore[arg-type]
    bounds = weights.cumsum(0)[:-1].to(device)
    return torch.bucketize(torch.rand(count, device=device, generator=generator), bounds, right=True)


@dataclass(frozen=True)
class InterchangeDraw:
    """Probabilities of the interchange on the circuit: none, one of its units, or one of its high-level edges."""

    none: float = 1.0
    unit: float = 0.0
    edge: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def draw(
        self, count: int, n_units: int, n_edges: int, device: torch.device, generator: torch.Generator
    ) -> Int[Tensor, " batch"]:
        """Choices as `siit.exchanges` numbers them: 0 none, then units, then edges."""
        category = _categories(self, count, device, generator)
        place = torch.rand(count, device=device, generator=generator)
        unit, edge = 1 + (place * n_units).long(), 1 + n_units + (place * n_edges).long()
        return torch.where(category == 1, unit, torch.where(category == 2, edge, NONE))


@dataclass(frozen=True)
class OffCircuitDraw:
    """Probabilities of what is replaced off the circuit.

    Attributes:
        none: nothing.
        all: every off-circuit node and every off-circuit edge between members.
        subset: each of them with a probability that is itself uniform for each example.
        all_nodes: every off-circuit node, no edge.
        one_node: a single off-circuit node (the InterpBench paper's strict term).
    """

    none: float = 1.0
    all: float = 0.0
    subset: float = 0.0
    all_nodes: float = 0.0
    one_node: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def draw(
        self, count: int, n_nodes: int, n_edges: int, device: torch.device, generator: torch.Generator
    ) -> tuple[Bool[Tensor, "node batch"], Bool[Tensor, "edge batch"]]:
        """Which off-circuit nodes and edges are replaced in which examples."""
        category = _categories(self, count, device, generator)
        everything, subset, nodes_only, single = (category == index for index in range(1, 5))
        rate = torch.rand(count, device=device, generator=generator)
        in_subset = torch.rand(n_nodes + n_edges, count, device=device, generator=generator) < rate
        chosen = everything | (subset & in_subset)
        one = (torch.rand(count, device=device, generator=generator) * n_nodes).long()
        is_one = torch.arange(n_nodes, device=device).unsqueeze(1) == one
        return chosen[:n_nodes] | nodes_only | (single & is_one), chosen[n_nodes:]


@dataclass(frozen=True)
class KindDraw:
    """Probabilities of what replaces off-circuit parts: the source's activation, the mean, or zero."""

    resample: float = 1.0
    mean: float = 0.0
    zero: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def draw(self, count: int, device: torch.device, generator: torch.Generator) -> Int[Tensor, " batch"]:
        """RESAMPLE, MEAN or ZERO for each example."""
        return _categories(self, count, device, generator)
