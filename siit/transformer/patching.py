"""Patches: per example, which component outputs and which edges of a run are replaced, and by what.

A patched node has its output replaced for all that read it. A patched edge has one sender's term replaced in the
one sum that one slot of one receiver reads; it wins over a patch of the sender itself. In one example a sender's
replacement is the same for all its patched edges of one kind: circuit edges take `interchange` values, off-circuit
edges `ablation` values. That is what makes per-example edge patches cost no more than a small matrix product per layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from siit.graph.architecture import EMBEDDINGS, Edge, Slot, components
from siit.graph.circuit import Circuit

Read = tuple[str, Slot | None]
"""A receiver and the slot of it that reads."""


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
        """Circuit member that sends -> its place in the order of computation."""
        return {name: index for index, name in enumerate(self.circuit.members[:-1])}

    def weighing(self, reads: Sequence[Read], device: torch.device) -> tuple[list[int], Int[Tensor, "read term"]]:
        """Which of `EdgeReader.terms` edges bring to what is read, and which edge; `len(edges)` where none does."""
        key = (*reads, device)
        if key not in self._weighings:
            found: dict[tuple[int, int], int] = {}
            for index, edge in enumerate(self.edges):
                if (edge.receiver, edge.slot) in reads:
                    is_off = index >= self.n_circuit_edges
                    term = 2 * self.member_index[edge.sender] + is_off
                    found[reads.index((edge.receiver, edge.slot)), term] = index
            terms = sorted({term for _, term in found})
            table = [[found.get((row, term), len(self.edges)) for term in terms] for row in range(len(reads))]
            self._weighings[key] = terms, torch.tensor(table, device=device)
        return self._weighings[key]

    @cached_property
    def _weighings(self) -> dict[tuple[object, ...], tuple[list[int], Tensor]]:
        """What has been asked for."""
        return {}


@dataclass(frozen=True, eq=False)
class BatchPatch:
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

    def __init__(self, patch: BatchPatch) -> None:
        self.patch = patch
        weights = patch.edges.to(patch.ablation[0].dtype)
        self.weights = F.pad(weights, (0, 0, 0, 1))
        """1 where an edge is patched, [edge, batch]; the last row is that of no edge."""
        self.terms: list[Tensor] = []
        """What patching an edge adds, [batch, pos d_model]: for each sender if the edge is on the circuit, if not."""

    def sent(self, sender: str, output: Float[Tensor, "batch pos d_model"]) -> None:
        """Records the output of a circuit member, in the order of computation."""
        index = self.patch.points.senders.index(sender)
        for replacement in (self.patch.interchange[index], self.patch.ablation[index]):
            self.terms.append((replacement - output).flatten(1))

    def read(
        self, reads: Sequence[Read], residual: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "read batch pos d_model"]:
        """The sums that some slots, all of receivers at one depth, read: one product of weights and terms."""
        terms, edge = self.patch.points.weighing(reads, residual.device)
        own = residual.flatten(1).unsqueeze(1).expand(-1, len(reads), -1)
        stacked = torch.stack([self.terms[term] for term in terms], 1)
        total = torch.baddbmm(own, self.weights[edge].permute(2, 0, 1), stacked)
        return total.transpose(0, 1).unflatten(2, residual.shape[1:])
