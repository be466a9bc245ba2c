"""Holds the labels: which nodes and edges of a transformer compute which variables (`circuit.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from siit._extras import require
from siit.graph.architecture import (
    EMBEDDINGS,
    LOGITS,
    Edge,
    ModelConfig,
    components,
    depth,
    edges,
    is_head,
    layer_of,
    nodes,
    slots,
)
from siit.graph.hooks import hook_edge

if TYPE_CHECKING:
    from networkx import MultiDiGraph

    from siit.show.drawing import Picture

CIRCUIT_FORMAT = "siit-circuit/1"
_SHOWN = 8
"""Units that a circuit's `repr` names."""


@dataclass(frozen=True, repr=False)
class Circuit:
    """The true circuit of a model.

    Attributes:
        config: the architecture whose components are labelled.
        alignment: unit of interchange -> its nodes, in the order of computation. A unit is a hidden
            variable, or several that share a node, joined by `+`.
        carries: circuit edge -> the high-level edge that it is part of (`is_x->frac_prevs<v>`), None
            between two nodes of one unit.
        roles: node -> the value that it carries, in words; the certificate measures that it does.
        variables: high-level variable -> kind, parents by slot, description.
        excluded: inert variables and high-level edges, which were left out of the circuit, each with the reason.
        idle: edges that follow from the alignment and were left out of the circuit, each with the reason. Training
            found that others carry all that they do; they are measured to be off the circuit.
        programs: head -> how the program computes that value, attention included; nothing measures this. Circuits
            of earlier versions have none: their roles tell both in one.
    """

    config: ModelConfig
    alignment: Mapping[str, tuple[str, ...]]
    carries: Mapping[Edge, str | None]
    roles: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    excluded: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = set(components(self.config))
        owner: dict[str, str] = {}
        for unit, unit_nodes in self.alignment.items():
            if not unit_nodes:
                raise ValueError(f"circuit: alignment of {unit!r} is empty, accepted is at least one node")
            for node in unit_nodes:
                if node not in known:
                    raise ValueError(
                        f"circuit: alignment of {unit!r} names {node!r}, accepted are the heads and MLPs "
                        f"a0.h0 to m{self.config.n_layers - 1}"
                    )
                if node in owner:
                    raise ValueError(
                        f"circuit: node {node} belongs to {owner[node]!r} and {unit!r}, accepted is one unit"
                    )
                owner[node] = unit
        members = set(self.members)
        for edge in self.carries:
            for end in (edge.sender, edge.receiver):
                if end not in members:
                    raise ValueError(f"circuit: edge {edge} touches {end!r}, which is not a member of the circuit")
            if edge.slot not in slots(edge.receiver) or not depth(edge.sender) < depth(edge.receiver):
                raise ValueError(f"circuit: edge {edge} does not exist in this architecture")
        if self.idle and (odd := self.idle.keys() - set(map(str, self.off_edges))):
            raise ValueError(f"circuit: idle: found {min(odd)!r}, accepted are edges of the model off the circuit")

    @cached_property
    def unit_of(self) -> dict[str, str]:
        """Member head or MLP -> its unit."""
        return {node: unit for unit, unit_nodes in self.alignment.items() for node in unit_nodes}

    @cached_property
    def members(self) -> list[str]:
        """Nodes of the circuit in the order of computation; embeddings and logits are always members."""
        hidden = [node for node in components(self.config) if node in self.unit_of]
        return [*EMBEDDINGS, *hidden, LOGITS]

    @cached_property
    def off_nodes(self) -> list[str]:
        """Heads and MLPs that are not in the circuit."""
        return [node for node in components(self.config) if node not in self.unit_of]

    @cached_property
    def off_edges(self) -> list[Edge]:
        """Every edge of the model that is not in the circuit."""
        return [edge for edge in edges(self.config) if edge not in self.carries]

    @cached_property
    def off_edges_of_members(self) -> list[Edge]:
        """Those of them that lead from circuit member to circuit member."""
        return [edge for edge in edges(self.config, self.members) if edge not in self.carries]

    @cached_property
    def edges_by_carried(self) -> dict[str, list[Edge]]:
        """High-level edge -> all low-level edges that carry it."""
        groups: dict[str, list[Edge]] = {}
        for edge, name in self.carries.items():
            if name is not None:
                groups.setdefault(name, []).append(edge)
        return groups

    def __repr__(self) -> str:
        units = [f"{unit}: {', '.join(unit_nodes)}" for unit, unit_nodes in self.alignment.items()]
        more = ["..."] if len(units) > _SHOWN else []
        return f"Circuit({len(self.carries)} edges; {'; '.join(units[:_SHOWN] + more)})"

    def __str__(self) -> str:
        """Draws the circuit as text, the logits first."""
        from siit.graph.picture import circuit_text

        return circuit_text(self)

    def plot(self, title: str = "the circuit") -> Picture:
        """Draws the circuit within the whole model; a notebook displays the picture, `.save(path)` writes it.

        Args:
            title: stands above.

        Raises:
            ImportError: matplotlib is not installed; names the extra.
        """
        require("matplotlib", extra="show", needed_by="Circuit.plot")
        from siit.show.circuit_picture import circuit_picture
        from siit.show.drawing import Picture

        return Picture(circuit_picture(self, title), title)

    @property
    def mixes_roles(self) -> bool:
        """Whether roles also tell how values are computed, which nothing measures: an earlier version wrote them."""
        return not self.programs and any(is_head(node) and self.roles.get(node) for node in self.members)

    def to_json(self) -> dict[str, Any]:
        """Makes the content of `circuit.json`."""
        return {
            "format": CIRCUIT_FORMAT,
            "nodes": [
                {
                    "name": node,
                    "in_circuit": node in self.members,
                    "unit": self.unit_of.get(node),
                    "role": self.roles.get(node, ""),
                    **({"program": self.programs[node]} if node in self.programs else {}),
                }
                for node in nodes(self.config)
            ],
            "edges": [
                {"sender": edge.sender, "receiver": edge.receiver, "slot": edge.slot, "carries": name}
                for edge, name in self.carries.items()
            ],
            "alignment": {unit: list(unit_nodes) for unit, unit_nodes in self.alignment.items()},
            "variables": {name: dict(value) for name, value in self.variables.items()},
            "excluded": dict(self.excluded),
            "idle": dict(self.idle),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], config: ModelConfig) -> Circuit:
        """Reads `circuit.json` and checks it against the architecture.

        Args:
            data: the file's content.
            config: the architecture.

        Raises:
            ValueError: names the field, what was found and what is accepted.
        """
        if data.get("format") != CIRCUIT_FORMAT:
            raise ValueError(f"circuit: format: found {data.get('format')!r}, accepted is {CIRCUIT_FORMAT!r}")
        for key in ("nodes", "edges", "alignment", "variables"):
            if key not in data:
                raise ValueError(f"circuit: {key}: missing")
        try:
            circuit = cls(
                config=config,
                alignment={str(unit): tuple(unit_nodes) for unit, unit_nodes in data["alignment"].items()},
                carries={Edge(e["sender"], e["receiver"], e["slot"]): e["carries"] for e in data["edges"]},
                roles={n["name"]: n["role"] for n in data["nodes"] if n["role"]},
                variables=data["variables"],
                excluded=data.get("excluded", {}),
                idle=data.get("idle", {}),
                programs={n["name"]: n["program"] for n in data["nodes"] if n.get("program")},
            )
            listed = [(n["name"], n["in_circuit"], n["unit"]) for n in data["nodes"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"circuit: malformed: {type(error).__name__}: {error}") from error
        expected = [(n, n in circuit.members, circuit.unit_of.get(n)) for n in nodes(config)]
        if sorted(map(repr, listed)) != sorted(map(repr, expected)):
            odd = sorted(set(map(repr, listed)) ^ set(map(repr, expected)))
            raise ValueError(f"circuit: nodes: disagree with the alignment or the architecture at {', '.join(odd[:4])}")
        return circuit

    def to_graph_json(self) -> dict[str, Any]:
        """Writes the circuit in the graph format of EAP-IG and MIB; both embeddings become `input`."""

        def merged(node: str) -> str:
            return "input" if node in EMBEDDINGS else node

        def name(edge: Edge) -> str:
            return str(Edge(merged(edge.sender), edge.receiver, edge.slot))

        in_graph = {name(edge) for edge in self.carries}
        config = self.config
        return {
            "cfg": {
                "n_layers": config.n_layers,
                "n_heads": config.n_heads,
                "parallel_attn_mlp": False,
                "d_model": config.d_model,
            },
            "nodes": {merged(node): {"in_graph": node in self.members} for node in nodes(config)},
            "edges": {
                label: {"score": float(label in in_graph), "in_graph": label in in_graph}
                for label in dict.fromkeys(name(edge) for edge in edges(config))
            },
        }

    def to_hook_edges(self) -> list[str]:
        """Lists the circuit's edges under TransformerLens' hook names, as ACDC and InterpBench have them.

        For example `blocks.0.hook_mlp_out -> blocks.1.hook_v_input[2]`; see `siit.graph.hooks`.
        """
        return [hook_edge(edge, self.config) for edge in self.carries]

    def to_networkx(self, *, whole: bool = False) -> MultiDiGraph:
        """Makes a directed graph of NetworkX; edges into a head are keyed by their slot, all others by "".

        Nodes have the attributes `in_circuit`, `unit`, `role`, `program` and `layer` (None for embeddings and logits),
        edges `in_circuit`, `slot` and `carries`. The graph's own attributes are `n_layers` and `n_heads`.

        Args:
            whole: all nodes and edges of the model, instead of those on the circuit.

        Raises:
            ImportError: NetworkX, which comes with PyTorch, is not installed.
        """
        networkx = require("networkx", extra="graph", needed_by="to_networkx")
        members = set(self.members)
        graph = networkx.MultiDiGraph(n_layers=self.config.n_layers, n_heads=self.config.n_heads)
        for node in nodes(self.config) if whole else self.members:
            attributes: dict[str, Any] = {
                "in_circuit": node in members,
                "unit": self.unit_of.get(node),
                "role": self.roles.get(node, ""),
                "program": self.programs.get(node, ""),
                "layer": None if node in (*EMBEDDINGS, LOGITS) else layer_of(node),
            }
            graph.add_node(node, **attributes)
        for edge in edges(self.config) if whole else self.carries:
            graph.add_edge(
                edge.sender,
                edge.receiver,
                key=edge.slot or "",
                slot=edge.slot,
                in_circuit=edge in self.carries,
                carries=self.carries.get(edge),
            )
        return graph
