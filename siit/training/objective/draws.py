"""What is drawn for each example: the interchange, the off-circuit parts that are replaced, and by what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from siit.training.objective.priorities import Priorities, prioritised

RESAMPLE, MEAN, ZERO, SHIFTED = 0, 1, 2, 3
N_ABLATIONS = 4


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
        """Of all choices as `siit.interchange.interventions` numbers them: 0 none, then units, then edges.

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
        priorities: Priorities | None = None,
    ) -> Int[Tensor, " batch"]:
        """A choice for each example, on the generator's device; `priorities` weighs the interchanges against each other."""
        chances = self.probabilities(n_units, n_edges).to(generator.device)
        if priorities is not None:
            chances = torch.cat([chances[:1], prioritised(chances[1:], priorities.interchanges, priorities.share)])
        return _choose(chances, count, generator)


@dataclass(frozen=True)
class OffCircuitDraw:
    """Probabilities of what is replaced off the circuit.

    Attributes:
        none: nothing.
        all: every off-circuit node and every off-circuit edge between members.
        subset: each of them with a probability that is itself uniform for each example.
        one: a single node or edge, or all of them as if they were one; `Priorities` weighs these, each with its kind of
            replacement.
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


@dataclass(frozen=True)
class AblationDraw:
    """Probabilities of what replaces off-circuit parts.

    Attributes:
        resample: the source's activation.
        mean: its mean at the position.
        zero: zero.
        shifted: the source's activation at another position. What is the same at a position of every input (that it
            is BOS) stays the same resampled and as a mean, so that an off-circuit part could say it beside the circuit
            edge that does, which then has no effect of its own.
    """

    resample: float = 1.0
    mean: float = 0.0
    zero: float = 0.0
    shifted: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def draw(self, count: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
        """RESAMPLE, MEAN, ZERO or SHIFTED for each example."""
        return _categories(self, count, generator)


@dataclass(frozen=True, eq=False)
class Replacement:
    """What is replaced off the circuit in which examples, and by what.

    Attributes:
        nodes, edges: whether an off-circuit node or edge is replaced.
        ablation: RESAMPLE, MEAN, ZERO or SHIFTED.
        single: part * N_ABLATIONS + ablation where a single part is replaced, nodes counted before edges, and all of them
            together as one more part; else -1.
    """

    nodes: Bool[Tensor, "node batch"]
    edges: Bool[Tensor, "edge batch"]
    ablation: Int[Tensor, " batch"]
    single: Int[Tensor, " batch"]


def draw_replacement(
    off_circuit: OffCircuitDraw,
    ablation: AblationDraw,
    count: int,
    n_nodes: int,
    n_edges: int,
    generator: torch.Generator,
    priorities: Priorities | None = None,
) -> Replacement:
    """Draws for each example what is replaced off the circuit, and by what."""
    device, n_parts = generator.device, n_nodes + n_edges
    category = _categories(off_circuit, count, generator)
    everything, subset, one, nodes_only, one_node = (category == index for index in range(1, 6))
    ablations = ablation.draw(count, generator)
    rate = torch.rand(count, device=device, generator=generator)
    in_subset = torch.rand(n_parts, count, device=device, generator=generator) < rate
    each = torch.tensor(list(vars(ablation).values()), device=device).repeat(n_parts + 1, 1) / (n_parts + 1)
    if priorities is not None:
        each = prioritised(each, priorities.singles, priorities.share)
    drawn = _choose(each.flatten(), count, generator)
    ablations = torch.where(one, drawn % N_ABLATIONS, ablations)
    part = torch.where(one, drawn // N_ABLATIONS, torch.where(everything, n_parts, -1))
    chosen = (subset & in_subset) | (part == n_parts) | (torch.arange(n_parts, device=device).unsqueeze(1) == part)
    single = torch.where(part >= 0, part * N_ABLATIONS + ablations, -1)
    nodes = chosen[:n_nodes] | nodes_only
    if n_nodes:
        place = torch.randint(n_nodes, (count,), device=device, generator=generator)
        nodes = nodes | (one_node & (torch.arange(n_nodes, device=device).unsqueeze(1) == place))
    return Replacement(nodes, chosen[n_nodes:], ablations, single)
