"""Patches nodes and edges of a run, in each example others.

A patched node has its output replaced for all that read it. A patched edge has one sender's term replaced in the
one sum that one slot of one receiver reads. It wins over a patch of the sender itself.

A sender has two replacements in an example: its patched circuit edges take `interchange` values, its patched
off-circuit edges `ablation` values. So all edges into one layer cost one small matrix product.
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
Term = tuple[str, bool]
"""A sender, and whether the patched edge is on the circuit: together they say what the edge adds to a sum."""


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
        """All edges of the model, circuit edges first."""
        return [*self.circuit.carries, *self.circuit.off_edges]

    @property
    def n_circuit_edges(self) -> int:
        """How many of `edges` are on the circuit."""
        return len(self.circuit.carries)

    @cached_property
    def members(self) -> frozenset[str]:
        """Nodes of the circuit, embeddings and logits among them."""
        return frozenset(self.circuit.members)

    @cached_property
    def terms(self) -> list[Term]:
        """Lists what patched edges can add to a sum, by sender in the order of computation."""
        return [(name, on) for name in self.senders for on in (True, False) if name in self.members or not on]

    @cached_property
    def edges_into(self) -> dict[Read, dict[Term, int]]:
        """Read -> the terms that its edges bring -> the edge's place in `edges`."""
        found: dict[Read, dict[Term, int]] = {}
        for index, edge in enumerate(self.edges):
            term = edge.sender, index < self.n_circuit_edges
            found.setdefault((edge.receiver, edge.slot), {})[term] = index
        return found

    def terms_of(
        self, reads: Sequence[Read], device: torch.device, of_members: bool = False
    ) -> tuple[list[Term], Int[Tensor, "read term"]]:
        """Finds the terms that some slots' edges bring, and the edge that brings each term to each slot.

        Args:
            reads: receivers with their slots.
            device: of the result.
            of_members: whether to leave out what off-circuit nodes send.

        Returns:
            The terms that reach any of the slots, in the order of `terms`. Then each edge's place in `edges`, or
            `len(edges)` where no edge brings the term to the slot.
        """
        key = (*reads, device, of_members)
        if key not in self._terms_of:
            into = [self.edges_into.get(read, {}) for read in reads]
            terms = [
                term
                for term in self.terms
                if any(term in edges for edges in into) and (term[0] in self.members or not of_members)
            ]
            table = [[edges.get(term, len(self.edges)) for term in terms] for edges in into]
            self._terms_of[key] = terms, torch.tensor(table, device=device)
        return self._terms_of[key]

    @cached_property
    def _terms_of(self) -> dict[tuple[object, ...], tuple[list[Term], Tensor]]:
        """The answers so far: a copy to the device at every layer of every step would be slow."""
        return {}


@dataclass(frozen=True, eq=False)
class BatchPatch:
    """One batch's patches.

    Masks are 1 where something is replaced and 0 where it is not, or anything between: a mixture of both. The gradient
    of a loss with respect to a mask tells what replacing that part would do to it.

    Attributes:
        points: names and order of what the masks list.
        nodes: [sender, batch], where a sender's output is replaced: by `interchange` if it is on the circuit,
            else by `ablation`.
        edges: [edge, batch], where an edge's term is replaced: circuit edges' by `interchange`, others' by `ablation`.
        interchange, ablation: replacement outputs, for each sender [batch, pos, d_model].
        off_nodes_always: whether every off-circuit node is replaced in every example. These are then not computed, and
            edges to and from them change nothing more.
    """

    points: PatchPoints
    nodes: Float[Tensor, "sender batch"] | Bool[Tensor, "sender batch"]
    edges: Float[Tensor, "edge batch"] | Bool[Tensor, "edge batch"]
    interchange: Sequence[Float[Tensor, "batch pos d_model"]]
    ablation: Sequence[Float[Tensor, "batch pos d_model"]]
    off_nodes_always: bool = False

    def node_output(self, index: int, output: Tensor | None) -> Tensor:
        """Replaces a sender's output where node patches say so.

        Args:
            index: the sender's place in `points.senders`.
            output: its own output; None where it was not computed, for it is always replaced.

        Returns:
            The output after node patches, [batch, pos, d_model].
        """
        on_circuit = self.points.senders[index] in self.points.members
        replacement = (self.interchange if on_circuit else self.ablation)[index]
        if output is None:
            return replacement
        return torch.lerp(output, replacement, self.nodes[index, :, None, None].to(output.dtype))


class EdgeReader:
    """Computes what each slot reads: the residual stream, corrected by the patched edges.

    Args:
        patch: tells which edges are patched in which examples, and by what.
    """

    def __init__(self, patch: BatchPatch) -> None:
        self.patch = patch
        patched = patch.edges.to(patch.ablation[0].dtype)
        self.weights = F.pad(patched.T, (0, 1))
        """1 where an edge is patched, [batch, edge + 1]; the last column, of zeros, stands for no edge."""
        self.changes: dict[Term, Tensor] = {}
        """What each term adds to a sum, [batch, pos * d_model]: the replacement minus the sender's output."""

    def sent(self, sender: str, output: Float[Tensor, "batch pos d_model"]) -> None:
        """Records a sender's output; it must be recorded before any slot reads it.

        Args:
            sender: an embedding, head or MLP.
            output: its output, after node patches.
        """
        index = self.patch.points.senders.index(sender)
        if sender in self.patch.points.members:
            self.changes[sender, True] = (self.patch.interchange[index] - output).flatten(1)
        elif self.patch.off_nodes_always:
            return
        self.changes[sender, False] = (self.patch.ablation[index] - output).flatten(1)

    def read(
        self, reads: Sequence[Read], residual: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "read batch pos d_model"]:
        """Computes the sums that some slots read, by one product: residual + weights @ changes.

        Args:
            reads: receivers, all at one depth, with their slots.
            residual: the residual stream before these receivers, after node patches.
        """
        terms, edge = self.patch.points.terms_of(reads, residual.device, self.patch.off_nodes_always)
        unpatched = residual.flatten(1).unsqueeze(1).expand(-1, len(reads), -1)
        changes = torch.stack([self.changes[term] for term in terms], 1)
        # Contiguous, or the product would be made example by example.
        weights = self.weights.index_select(1, edge.flatten()).view(-1, *edge.shape)
        total = torch.baddbmm(unpatched, weights, changes)
        return total.transpose(0, 1).unflatten(2, residual.shape[1:])
