"""Draws from the seed which nodes carry which variables (the alignment), and derives the circuit from that."""

from __future__ import annotations

import random
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field

from siit.causal import INDICES, OUTPUT, TOKENS, CausalModel, HighLevelEdge
from siit.graph.architecture import (
    HEAD_SLOTS,
    LOGITS,
    POS_EMBED,
    TOK_EMBED,
    Edge,
    ModelConfig,
    depth,
    earliest_layers,
    head,
    is_head,
    layer_of,
    mlp,
)
from siit.graph.circuit import Circuit
from siit.interchange.capacity import Capacity, needed_capacity, one_head_each
from siit.interchange.roles import programs, roles

Alignment = Mapping[str, tuple[str, ...]]
"""Hidden variable -> its nodes, in the order of computation."""


@dataclass(frozen=True)
class AlignmentConfig:
    """How variables are placed.

    Attributes:
        heads: how many heads of its layer an attention variable gets, where it is not what `needed_capacity` says.
        mlps: attention variables that get the MLP of their layer too, each for itself; None: as `needed_capacity` says.
        nodes: variable -> nodes, fixing the placement instead of drawing it; all variables or none.
    """

    heads: Mapping[str, int] = field(default_factory=dict)
    mlps: Collection[str] | None = None
    nodes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def capacity(self, model: CausalModel) -> Capacity:
        """Finds what each attention variable gets: what is set here, else what the rule says.

        A fixed placement says it by itself, and asks for no more than one head each.

        Args:
            model: the causal model.

        Raises:
            ValueError: variables that the model has not, or that no attention computes, or less than one head.
        """
        for what in (self.heads, self.mlps or (), self.nodes):
            unknown = sorted(set(what) - set(model.variables))
            if unknown:
                raise ValueError(f"alignment: unknown variables {unknown}, accepted: {', '.join(model.variables)}")
        for key, chosen in (("heads", self.heads), ("mlps", self.mlps or ())):
            wrong = sorted(name for name in chosen if not model.variables[name].is_attention)
            if wrong:
                raise ValueError(f"alignment.{key}: {wrong} are computed by MLPs, accepted are attention variables")
        few = {name: count for name, count in self.heads.items() if count < 1}
        if few:
            raise ValueError(f"alignment.heads: found {few}, accepted is at least 1")
        if self.nodes:
            return one_head_each(model)
        needed = needed_capacity(model)
        return Capacity({**needed.heads, **self.heads}, needed.mlps if self.mlps is None else frozenset(self.mlps))


def program_layers(model: CausalModel, mlps: Collection[str] = ()) -> dict[str, int]:
    """Finds the earliest layer of each variable: attention variables in its attention, all others in its MLP.

    Args:
        model: the causal model.
        mlps: attention variables that get the MLP of their layer too, each for itself.
    """
    variables = model.variables
    reads = {name: [p for group in v.mechanism.parents.values() for p in group] for name, v in variables.items()}
    return earliest_layers(reads, {name for name, variable in variables.items() if variable.is_attention}, mlps)


def heads_needed(model: CausalModel, capacity: Capacity) -> int:
    """Counts the heads that each layer of the program needs, and returns the largest number.

    Args:
        model: the causal model.
        capacity: what each attention variable gets.
    """
    count: dict[int, int] = {}
    layers = program_layers(model, capacity.mlps)
    for name, heads in capacity.heads.items():
        count[layers[name]] = count.get(layers[name], 0) + heads
    return max(count.values(), default=0)


def draw_alignment(model: CausalModel, config: ModelConfig, settings: AlignmentConfig, seed: int) -> Alignment:
    """Places every hidden variable: program layers increasingly into the model's, any heads of a layer.

    Args:
        model: the causal model.
        config: the architecture.
        settings: how many nodes variables get, or a fixed placement.
        seed: of the draw.

    Raises:
        ValueError: for unknown variables or nodes, or a model that is too small; says what is needed.
    """
    capacity = settings.capacity(model)
    if settings.nodes:
        return _fixed_alignment(model, settings.nodes)
    layers = program_layers(model, capacity.mlps)
    needed = max(layers.values()) + 1
    if needed > config.n_layers:
        raise ValueError(f"model.n_layers: found {config.n_layers}, the program needs at least {needed}")
    heads = heads_needed(model, capacity)
    if heads > config.n_heads:
        raise ValueError(f"model.n_heads: found {config.n_heads}, the program needs at least {heads} in one layer")
    draw = random.Random(seed)
    placed = sorted(draw.sample(range(config.n_layers), needed))
    free = {layer: draw.sample(range(config.n_heads), config.n_heads) for layer in placed}
    alignment: dict[str, tuple[str, ...]] = {}
    for name, variable in model.variables.items():
        layer = placed[layers[name]]
        if variable.is_attention:
            indices = sorted(free[layer].pop() for _ in range(capacity.heads[name]))
            also = (mlp(layer),) if name in capacity.mlps else ()
            alignment[name] = (*(head(layer, index) for index in indices), *also)
        else:
            alignment[name] = (mlp(layer),)
    return alignment


def more_capacity(
    model: CausalModel, config: ModelConfig, alignment: Alignment, variable: str, seed: int
) -> str | None:
    """Finds one more node for an attention variable: a free head of its layer, else the layer's MLP if that is free.

    Args:
        model: the causal model.
        config: the architecture.
        alignment: hidden variable -> its nodes.
        variable: the one that gets more.
        seed: draws which of the free heads.

    Returns:
        The node; None if nothing is free, or the variable is no attention variable of the alignment.
    """
    if variable not in alignment or not model.variables[variable].is_attention:
        return None
    layer = max(layer_of(node) for node in alignment[variable])
    taken = {node for nodes in alignment.values() for node in nodes}
    free = [head(layer, index) for index in range(config.n_heads) if head(layer, index) not in taken]
    if free:
        return random.Random(f"{seed} {variable} {len(alignment[variable])}").choice(free)
    return None if mlp(layer) in taken else mlp(layer)


def _fixed_alignment(model: CausalModel, nodes: Mapping[str, Sequence[str]]) -> Alignment:
    missing = sorted(set(model.variables) - set(nodes))
    if missing:
        raise ValueError(f"alignment.nodes: missing {missing}; a fixed alignment names all variables")
    for name, variable in model.variables.items():
        if not nodes[name]:
            raise ValueError(f"alignment.nodes: {name} has no node, accepted is at least one")
        wrong = [node for node in nodes[name] if is_head(node) and not variable.is_attention]
        if wrong:
            raise ValueError(
                f"alignment.nodes: {name} moves nothing between positions, so heads {wrong} cannot hold it"
            )
        if variable.is_attention and not any(is_head(node) for node in nodes[name]):
            raise ValueError(f"alignment.nodes: {name} moves information between positions, it needs a head")
        if len(set(nodes[name])) != len(nodes[name]):
            raise ValueError(f"alignment.nodes: {name} names a node twice: {', '.join(nodes[name])}")
    return {name: tuple(sorted(nodes[name], key=lambda node: (depth(node), node))) for name in model.variables}


@dataclass(frozen=True)
class Labels:
    """A circuit with the high-level interventions that its names stand for.

    Attributes:
        circuit: the labels.
        units: unit -> the variables that it interchanges.
        edges: name of a carried high-level edge -> the high-level edges that it interchanges.
    """

    circuit: Circuit
    units: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, tuple[HighLevelEdge, ...]]


def derive_labels(
    model: CausalModel,
    config: ModelConfig,
    alignment: Alignment,
    excluded: Mapping[str, str] | None = None,
    idle: Collection[Edge] = (),
) -> Labels:
    """Derives the circuit that follows from an alignment and a causal model.

    Args:
        model: the causal model.
        config: the architecture.
        alignment: hidden variable -> its nodes.
        excluded: variables and high-level edges (by name) that cannot change the output, with the reason; they
            are left out of the circuit.
        idle: edges that carry nothing beside others that carry the same. They are left out too, and so is a node of
            a variable that then reads nothing, or is read by nothing.

    Raises:
        ValueError: a child's node cannot read its parent's, or a node would read itself. Or a high-level edge would be
            carried by nothing, or an attention variable would have no head left.
    """
    left_out, unread = dict(excluded or {}), frozenset(idle)
    kept = {name: nodes for name, nodes in alignment.items() if name not in left_out}
    if unread:
        kept = _used_nodes(model, kept, left_out, unread)
    units = _units(kept)
    unit_nodes = {
        unit: tuple(sorted({n for v in variables for n in kept[v]}, key=lambda n: (depth(n), n)))
        for unit, variables in units.items()
    }
    carriers = _carriers(model, kept, left_out, unread)
    groups = _merge(carriers)
    carries: dict[Edge, str | None] = {}
    for name in kept:
        for edge in _internal_edges(kept[name], unread):
            carries[edge] = None
    named: dict[str, tuple[HighLevelEdge, ...]] = {}
    for group in groups:
        label = _joined_name(group)
        named[label] = group
        for member in group:
            for edge in carriers[member]:
                carries[edge] = label
    order = {node: index for index, node in enumerate([*_ordered_nodes(unit_nodes), LOGITS])}
    ordered = sorted(carries, key=lambda e: (order[e.receiver], e.slot or "", order.get(e.sender, -1), e.sender))
    circuit = Circuit(
        config=config,
        alignment=unit_nodes,
        carries={edge: carries[edge] for edge in ordered},
        roles=roles(model, kept),
        variables={
            name: {
                "kind": variable.kind,
                "parents": {slot or "in": list(group) for slot, group in variable.mechanism.parents.items()},
                "description": variable.description,
            }
            for name, variable in model.variables.items()
        },
        excluded=left_out,
        idle=_left_idle(model, kept, left_out, carries) if unread else {},
        programs=programs(model, kept),
    )
    return Labels(circuit, units, named)


def _ordered_nodes(unit_nodes: Mapping[str, tuple[str, ...]]) -> list[str]:
    return sorted({node for nodes in unit_nodes.values() for node in nodes}, key=lambda node: (depth(node), node))


def _units(alignment: Alignment) -> dict[str, tuple[str, ...]]:
    """Groups variables that share a node; a group is named by joining their names with `+`."""
    groups: list[tuple[list[str], set[str]]] = []
    for name, nodes in alignment.items():
        together, occupied = [name], set(nodes)
        apart = []
        for variables, used in groups:
            if used & occupied:
                together, occupied = variables + together, used | occupied
            else:
                apart.append((variables, used))
        groups = [*apart, (together, occupied)]
    order = list(alignment)
    units = [tuple(sorted(variables, key=order.index)) for variables, _ in groups]
    return {"+".join(unit): unit for unit in sorted(units, key=lambda unit: order.index(unit[0]))}


def _used_nodes(
    model: CausalModel, alignment: Alignment, excluded: Mapping[str, str], idle: frozenset[Edge]
) -> dict[str, tuple[str, ...]]:
    """Takes from each variable the nodes that nothing reads any more, or that read nothing, until none is left.

    A head that read values over the circuit and no longer does says the same whatever it attends to.
    """
    kept = dict(alignment)
    fed_before = _ends(model, alignment, excluded, frozenset())[1]
    while True:
        read, fed = _ends(model, kept, excluded, idle)
        unused = {
            name: [node for node in nodes if node not in read or (node in fed_before and node not in fed)]
            for name, nodes in kept.items()
            if read & set(nodes)
        }
        if not any(unused.values()):
            return kept
        kept = {name: tuple(n for n in nodes if n not in unused.get(name, ())) for name, nodes in kept.items()}
        for name, nodes in kept.items():
            if model.variables[name].is_attention and not any(map(is_head, nodes)):
                raise ValueError(f"edges: found no head of {name} that any edge leads from, accepted is at least one")


def _ends(
    model: CausalModel, alignment: Alignment, excluded: Mapping[str, str], idle: frozenset[Edge]
) -> tuple[set[str], set[str]]:
    """Finds the nodes that an edge leads from, and those that one leads to: of a head, into its v."""
    carried = set().union(*_carriers(model, alignment, excluded, idle).values())
    found = carried.union(*(_internal_edges(nodes, idle) for nodes in alignment.values()))
    fed = {edge.receiver for edge in found if edge.slot in ("v", None)}
    return {edge.sender for edge in found}, fed


def _carriers(
    model: CausalModel, alignment: Alignment, excluded: Mapping[str, str], idle: frozenset[Edge] = frozenset()
) -> dict[HighLevelEdge, frozenset[Edge]]:
    """Finds the low-level edges that carry each high-level edge, but for those that are idle."""
    nodes: dict[str, tuple[str, ...]] = {TOKENS: (TOK_EMBED,), INDICES: (POS_EMBED,), OUTPUT: (LOGITS,), **alignment}
    carriers: dict[HighLevelEdge, frozenset[Edge]] = {}
    for edge in model.edges:
        if str(edge) in excluded or edge.parent not in nodes or edge.child not in nodes:
            continue
        found = set()
        for receiver in nodes[edge.child]:
            for sender in nodes[edge.parent]:
                if not depth(sender) < depth(receiver):
                    raise ValueError(f"alignment: {edge} needs {sender} before {receiver}, found it at or after it")
                found.add(Edge(sender, receiver, edge.slot if is_head(receiver) else None))  # type: ignore[arg-type]
        carriers[edge] = frozenset(found - idle)
        if not carriers[edge]:
            raise ValueError(f"edges: found none that carries {edge}, accepted is at least one")
    return carriers


def _left_idle(
    model: CausalModel, alignment: Alignment, excluded: Mapping[str, str], carries: Container[Edge]
) -> dict[str, str]:
    """Lists the edges that follow from an alignment and are not on the circuit, with the reason."""
    found: dict[Edge, str] = {}
    for high, carried in _carriers(model, alignment, excluded).items():
        found |= dict.fromkeys(carried, f"other edges carry all of {high}")
    for name, nodes in alignment.items():
        found |= dict.fromkeys(_internal_edges(nodes), f"the nodes of {name} carry all of it without this edge")
    return {str(edge): found[edge] for edge in sorted(found, key=str) if edge not in carries}


def _internal_edges(nodes: Sequence[str], idle: frozenset[Edge] = frozenset()) -> list[Edge]:
    """Lists the edges between the nodes of one variable, but for those that are idle: later ones read earlier ones."""
    found = [
        Edge(sender, receiver, slot)
        for receiver in nodes
        for sender in nodes
        if depth(sender) < depth(receiver)
        for slot in (HEAD_SLOTS if is_head(receiver) else (None,))
    ]
    return [edge for edge in found if edge not in idle]


def _merge(carriers: Mapping[HighLevelEdge, frozenset[Edge]]) -> list[tuple[HighLevelEdge, ...]]:
    """Groups high-level edges that share a low-level edge: they can only be interchanged together."""
    groups: list[tuple[tuple[HighLevelEdge, ...], frozenset[Edge]]] = []
    for edge, carried in carriers.items():
        together: tuple[HighLevelEdge, ...] = (edge,)
        covered = carried
        apart = []
        for members, edges in groups:
            if edges & covered:
                together, covered = members + together, edges | covered
            else:
                apart.append((members, edges))
        groups = [*apart, (together, covered)]
    return [members for members, _ in groups]


def _joined_name(group: Sequence[HighLevelEdge]) -> str:
    parents = "+".join(dict.fromkeys(edge.parent for edge in group))
    children = "+".join(dict.fromkeys(edge.child for edge in group))
    slots = "+".join(dict.fromkeys(edge.slot for edge in group if edge.slot))
    return f"{parents}->{children}" + (f"<{slots}>" if slots else "")
