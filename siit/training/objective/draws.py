"""Draws for each example an interchange, the off-circuit parts that are replaced, and the ablation of these."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from siit._constants import constant
from siit.training.objective.priorities import Priorities, prioritised

RESAMPLE, MEAN, ZERO, SHIFTED = 0, 1, 2, 3
N_ABLATIONS = 4


def _check_probabilities(draw: object) -> None:
    values = vars(draw)
    # Written so that NaN, which compares false, is refused.
    if not (all(value >= 0 for value in values.values()) and abs(sum(values.values()) - 1) <= 1e-6):
        raise ValueError(f"{type(draw).__name__}: found {values}, accepted are probabilities that sum to 1")


def _choose(chances: Float[Tensor, " choices"], count: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
    """Draws a choice for each example, in proportion to the chances; one of chance 0 never."""
    bounds = chances.cumsum(0)
    place = torch.rand(count, device=generator.device, generator=generator) * bounds[-1]
    return torch.bucketize(place, bounds, right=True)


def _categories(draw: object, count: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
    """Draws for each example one of the probabilities' fields, by its place."""
    return _choose(_probabilities(draw, generator.device), count, generator)


def _probabilities(draw: object, device: torch.device) -> Float[Tensor, " field"]:
    return constant(tuple(vars(draw).values()), torch.float32, device)


@dataclass(frozen=True)
class InterchangeDraw:
    """Probabilities of the interchange on the circuit.

    Attributes:
        none: no interchange.
        unit: one of the circuit's units.
        edge: one of its high-level edges.
    """

    none: float = 1.0
    unit: float = 0.0
    edge: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def probabilities(self, n_units: int, n_edges: int, device: torch.device) -> Float[Tensor, " choices"]:
        """Spreads the probabilities evenly over all choices: 0 for none, then the units, then the edges.

        Where a circuit has no unit, or no edge, their probability goes to none.

        Args:
            n_units: how many units the circuit has.
            n_edges: how many high-level edges it carries.
            device: of the result.
        """
        none = self.none + (0.0 if n_units else self.unit) + (0.0 if n_edges else self.edge)
        each = (none, *[self.unit / max(1, n_units)] * n_units, *[self.edge / max(1, n_edges)] * n_edges)
        return constant(each, torch.float32, device)

    def draw(
        self,
        count: int,
        n_units: int,
        n_edges: int,
        generator: torch.Generator,
        priorities: Priorities | None = None,
    ) -> Int[Tensor, " batch"]:
        """Draws a choice for each example, on the generator's device.

        Args:
            count: number of examples.
            n_units: how many units the circuit has.
            n_edges: how many high-level edges it carries.
            generator: of the draw.
            priorities: weigh the interchanges against each other; None: all units alike, and all edges.
        """
        chances = self.probabilities(n_units, n_edges, generator.device)
        if priorities is not None:
            chances = torch.cat([chances[:1], prioritised(chances[1:], priorities.interchanges, priorities.share)])
        return _choose(chances, count, generator)


@dataclass(frozen=True)
class OffCircuitDraw:
    """Probabilities of what is replaced off the circuit.

    Attributes:
        none: nothing.
        all: every off-circuit node and every off-circuit edge.
        subset: each of these parts with a probability that is itself drawn, evenly, for each example.
        one: a single part, or all of them counted as one more. Prioritised sampling weighs these, by ablation.
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
    """Probabilities of the ablation: of what replaces off-circuit parts.

    Some facts are the same at a position of every input: that it is BOS, for example. They survive resampling and the
    mean. An off-circuit part could then state them beside the circuit's edge, which would have no effect of its own.
    Shifted ablation makes such parts misleading.

    Attributes:
        resample: the source's activation.
        mean: the mean over the batch's sources at that position.
        zero: zero.
        shifted: the source's activation at another position.
    """

    resample: float = 1.0
    mean: float = 0.0
    zero: float = 0.0
    shifted: float = 0.0

    def __post_init__(self) -> None:
        _check_probabilities(self)

    def draw(self, count: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
        """Draws RESAMPLE, MEAN, ZERO or SHIFTED for each example.

        Args:
            count: number of examples.
            generator: of the draw; the result is on its device.
        """
        return _categories(self, count, generator)


@dataclass(frozen=True, eq=False)
class Replacement:
    """What is replaced off the circuit in which examples, and by what.

    Attributes:
        nodes: which off-circuit nodes are replaced, in the order of `Circuit.off_nodes`.
        edges: which off-circuit edges are, in the order of `Circuit.off_edges`. Both are 0 and 1 with gradients where
            an adversary asks for them.
        ablation: RESAMPLE, MEAN, ZERO or SHIFTED.
        single: `part * N_ABLATIONS + ablation` where a single part is replaced, else -1. Nodes are counted before
            edges; all of them together are one more part.
    """

    nodes: Bool[Tensor, "node batch"] | Float[Tensor, "node batch"]
    edges: Bool[Tensor, "edge batch"] | Float[Tensor, "edge batch"]
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
    """Draws for each example what is replaced off the circuit, and by what.

    Args:
        off_circuit: probabilities of what is replaced.
        ablation: probabilities of what replaces it.
        count: number of examples.
        n_nodes: how many off-circuit nodes there are.
        n_edges: how many off-circuit edges.
        generator: of the draws; the result is on its device.
        priorities: weigh single parts, by ablation; None: all parts alike.
    """
    device, n_parts = generator.device, n_nodes + n_edges
    # Everything is drawn for every example, used or not: no shape then depends on the data, and nothing waits for it.
    category = _categories(off_circuit, count, generator)
    everything, subset, one, nodes_only, one_node = (category == index for index in range(1, 6))
    ablations = ablation.draw(count, generator)
    rate = torch.rand(count, device=device, generator=generator)
    in_subset = torch.rand(n_parts, count, device=device, generator=generator) < rate
    each = _probabilities(ablation, device).repeat(n_parts + 1, 1) / (n_parts + 1)
    if priorities is not None:
        each = prioritised(each, priorities.singles, priorities.share)
    drawn = _choose(each.flatten(), count, generator)
    ablations = torch.where(one, drawn % N_ABLATIONS, ablations)
    # The part that is replaced alone: nodes, then edges, then all of them as one more; -1 for none.
    part = torch.where(one, drawn // N_ABLATIONS, torch.where(everything, n_parts, -1))
    chosen = (subset & in_subset) | (part == n_parts) | (torch.arange(n_parts, device=device).unsqueeze(1) == part)
    single = torch.where(part >= 0, part * N_ABLATIONS + ablations, -1)
    nodes = chosen[:n_nodes] | nodes_only
    if n_nodes:
        place = torch.randint(n_nodes, (count,), device=device, generator=generator)
        nodes = nodes | (one_node & (torch.arange(n_nodes, device=device).unsqueeze(1) == place))
    return Replacement(nodes, chosen[n_nodes:], ablations, single)
