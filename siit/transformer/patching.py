"""Patches: per example, which component outputs and which edges of a run are replaced, and by what.

A patched node has its output replaced for all that read it. A patched edge has one sender's term replaced in the
one sum that one slot of one receiver reads; it wins over a patch of the sender itself. In one example a sender's
replacement is the same for all its patched edges of one kind: circuit edges take `interchange` values, off-circuit
edges `ablation` values. That is what makes a per-example edge patch cost no more than one weighted sum per slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.architecture import EMBEDDINGS, Edge, Slot, components, slots
from siit.circuit import Circuit


@dataclass(frozen=True, eq=False)
class PatchPoints:
    """What can be patched in one circuit, and in which order masks list it.

    Attributes:
        circuit: tells what is on it and what is off it.
    """

    circuit: Circuit

    @cached_property
    def senders(self) -> list[str]:
        """Embeddings, heads and MLPs, in the order of computation."""
        return [*EMBEDDINGS, *components(self.circuit.config)]

    @cached_property
    def edges(self) -> list[Edge]:
        """All edges between circuit members, circuit edges first."""
        return [*self.circuit.carries, *self.circuit.off_edges]

    @property
    def n_circuit_edges(self) -> int:
        """How many of `edges` are on the circuit."""
        return len(self.circuit.carries)

    @cached_property
    def member_index(self) -> dict[str, int]:
        """Circuit member that sends -> its place in `Patch` deltas."""
        return {name: index for index, name in enumerate(self.circuit.members[:-1])}

    @cached_property
    def incoming(self) -> dict[tuple[str, Slot | None], tuple[list[int], list[int], list[int], list[int]]]:
        """Receiver and slot -> (circuit edges, their senders' member indices, off edges, theirs)."""
        found: dict[tuple[str, Slot | None], tuple[list[int], list[int], list[int], list[int]]] = {}
        for receiver in self.circuit.members:
            for slot in slots(receiver):
                found[receiver, slot] = ([], [], [], [])
        for index, edge in enumerate(self.edges):
            on, on_senders, off, off_senders = found[edge.receiver, edge.slot]
            if index < self.n_circuit_edges:
                on.append(index)
                on_senders.append(self.member_index[edge.sender])
            else:
                off.append(index)
                off_senders.append(self.member_index[edge.sender])
        return found


@dataclass(frozen=True, eq=False)
class Patch:
    """One batch's patches.

    Attributes:
        points: names and order of what the masks list.
        nodes: [sender, batch], where a sender's output is replaced: by `interchange` if it is on the circuit,
            else by `ablation`.
        edges: [edge, batch], where an edge's term is replaced: circuit edges' by `interchange`, others' by `ablation`.
        interchange, ablation: replacement outputs, for each sender [batch, pos, d_model].
        off_nodes_always: whether every off-circuit node is replaced in every example; these are then not computed.
    """

    points: PatchPoints
    nodes: Bool[Tensor, "sender batch"]
    edges: Bool[Tensor, "edge batch"]
    interchange: Sequence[Float[Tensor, "batch pos d_model"]]
    ablation: Sequence[Float[Tensor, "batch pos d_model"]]
    off_nodes_always: bool = False

    def node_output(self, index: int, output: Tensor | None) -> Tensor:
        """A sender's output after node patches, [batch, pos, d_model]; `output` is None where it was not computed."""
        on_circuit = self.points.senders[index] in self.points.member_index
        replacement = (self.interchange if on_circuit else self.ablation)[index]
        if output is None:
            return replacement
        return torch.where(self.nodes[index, :, None, None], replacement, output)


class EdgeReader:
    """Computes what each slot of a circuit member reads: the residual stream, corrected by the patched edges."""

    def __init__(self, patch: Patch) -> None:
        self.patch = patch
        self.weights = patch.edges.to(patch.ablation[0].dtype)
        self.interchange: list[Tensor] = []
        self.ablation: list[Tensor] = []

    def sent(self, sender: str, output: Tensor) -> None:
        """Records the output of a circuit member, in the order of computation; [batch, pos, d_model]."""
        index = self.patch.points.senders.index(sender)
        self.interchange.append(self.patch.interchange[index] - output)
        self.ablation.append(self.patch.ablation[index] - output)

    def read(self, receiver: str, slot: Slot | None, residual: Tensor) -> Tensor:
        """The sum that one slot reads, [batch, pos, d_model]."""
        on, on_senders, off, off_senders = self.patch.points.incoming[receiver, slot]
        total = residual
        for edges, senders, deltas in ((on, on_senders, self.interchange), (off, off_senders, self.ablation)):
            for edge, sender in zip(edges, senders, strict=True):
                total = torch.addcmul(total, self.weights[edge, :, None, None], deltas[sender])
        return total
