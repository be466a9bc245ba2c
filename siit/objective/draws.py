"""What is drawn for each example: the interchange, the off-circuit parts that are replaced, and by what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

RESAMPLE, MEAN, ZERO = 0, 1, 2


def _check_probabilities(draw: object) -> None:
    values = vars(draw)
    # Written so that NaN, which compares false, is refused.
    if not (all(value >= 0 for value in values.values()) and abs(sum(values.values()) - 1) <= 1e-6):
        raise ValueError(f"{type(draw).__name__}: found {values}, accepted are probabilities that sum to 1")


def _choose(chances: Float[Tensor, " choices"], count: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
    """The index of a choice for each example, in proportion to the chances; one without a chance is never drawn."""
    bounds = chances.to(generator.device).cumsum(0)
    place = torch.rand(count, device=generator.device, generator=generator) * bounds[-1]
    return torch.bucketize(place, bounds, right=True)


def _categories(draw: object, count: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
    """The index of the drawn field, for each example."""
    return _choose(torch.tensor(list(vars(draw).values()), dtype=torch.float32), count, generator)


@dataclass(frozen=True)
class InterchangeDraw:
    """Probabilities of the interchange on the circuit: none, one of its units, or one of its high-level edges."""

    none: float = 1.0
    unit: float = 0.0
    edge: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def probabilities(self, n_units: int, n_edges: int) -> Float[Tensor, " choices"]:
        """Of all choices as `siit.exchanges` numbers them: 0 none, then units, then edges.

        Where a circuit has no unit or no edge, none is exchanged instead.
        """
        none = self.none + (0.0 if n_units else self.unit) + (0.0 if n_edges else self.edge)
        each = [none, *[self.unit / max(1, n_units)] * n_units, *[self.edge / max(1, n_edges)] * n_edges]
        return torch.tensor(each, dtype=torch.float32)

    def draw(
        self,
        count: int,
        n_units: int,
        n_edges: int,
        generator: torch.Generator,
        focus: Float[Tensor, " exchanges"] | None = None,
    ) -> Int[Tensor, " batch"]:
        """A choice for each example, on the generator's device.

        Args:
            focus: positive probabilities of the exchanges given that there is one; a kind that has no probability
                here stays out, whatever its focus. None leaves exchanges uniform in their kind.
        """
        chances = self.probabilities(n_units, n_edges).to(generator.device)
        if focus is not None:
            possible = torch.where(chances[1:] > 0, focus, 0.0)
            scale = focus.sum() / possible.sum().clamp(min=torch.finfo(focus.dtype).tiny)
            chances = torch.cat([chances[:1], (1 - chances[0]) * (possible * scale)])
        return _choose(chances, count, generator)


@dataclass(frozen=True)
class OffCircuitDraw:
    """Probabilities of what is replaced off the circuit.

    Attributes:
        none: nothing.
        all: every off-circuit node and every off-circuit edge between members.
        subset: each of them with a probability that is itself uniform for each example.
        one: a single node or edge.
        all_nodes: every off-circuit node, no edge.
        one_node: a single off-circuit node (the InterpBench paper's strict term).
    """

    none: float = 1.0
    all: float = 0.0
    subset: float = 0.0
    one: float = 0.0
    all_nodes: float = 0.0
    one_node: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def draw(
        self, count: int, n_nodes: int, n_edges: int, generator: torch.Generator
    ) -> tuple[Bool[Tensor, "node batch"], Bool[Tensor, "edge batch"]]:
        """Which off-circuit nodes and edges are replaced in which examples."""
        device, category = generator.device, _categories(self, count, generator)
        everything, subset, one, nodes_only, one_node = (category == index for index in range(1, 6))
        rate = torch.rand(count, device=device, generator=generator)
        in_subset = torch.rand(n_nodes + n_edges, count, device=device, generator=generator) < rate
        # A single part among all of them, or among the nodes, which come first.
        last = torch.where(one_node, n_nodes, n_nodes + n_edges)
        place = (torch.rand(count, device=device, generator=generator) * last).long()
        is_single = (torch.arange(n_nodes + n_edges, device=device).unsqueeze(1) == place) & (place < last)
        chosen = everything | (subset & in_subset) | ((one | one_node) & is_single)
        return chosen[:n_nodes] | nodes_only, chosen[n_nodes:]


@dataclass(frozen=True)
class KindDraw:
    """Probabilities of what replaces off-circuit parts: the source's activation, the mean, or zero."""

    resample: float = 1.0
    mean: float = 0.0
    zero: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def draw(self, count: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
        """RESAMPLE, MEAN or ZERO for each example."""
        return _categories(self, count, generator)
