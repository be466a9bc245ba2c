"""Leakage: how much of what the circuit's members read comes over edges that are off the circuit.

An answer that is right adds next to nothing to a cross-entropy. What an off-circuit edge says is then felt only where
it makes an answer wrong. Many edges that each say a little do so together. Leakage is felt at every step.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.graph.architecture import LOGITS, Edge, Slot, edges
from siit.graph.circuit import Circuit
from siit.transformer import Transformer

EXAMPLES = 32
"""Of a batch that it is measured on: mean squares hardly differ between batches."""
LEAST = 0.1
"""Mean square that counts as read over the circuit where less is: a head that attends everywhere starts at nothing."""


class Leakage:
    """Measures the leakage of each read of a circuit: of each slot of its heads, its MLPs and the logits.

    A read is linear in the outputs of all components before it. Each of these has a mean square in it. Leakage is the sum
    of those over off-circuit edges, divided by that of the others and of the bias. Each component counts by itself:
    what several say may cancel in an input, but not where one is replaced.

    Args:
        circuit: the labels.
        senders: nodes that others read, in the order of computation.

    Attributes:
        reads: receiver and slot; those of heads come first, then MLPs, then the logits.
    """

    def __init__(self, circuit: Circuit, senders: Sequence[str]) -> None:
        off_nodes, off_edges = set(circuit.off_nodes), set(circuit.off_edges)
        into: dict[tuple[str, Slot | None], list[Edge]] = {}
        for edge in edges(circuit.config):
            if edge.receiver not in off_nodes:
                into.setdefault((edge.receiver, edge.slot), []).append(edge)
        self.reads = sorted(into, key=lambda read: (read[1] is None, read[0] == LOGITS))
        # Over which kind of edge each sender is read: off the circuit, or on it.
        self._kinds = torch.zeros(len(self.reads), 2, len(senders))
        for row, read in enumerate(self.reads):
            for edge in into[read]:
                self._kinds[row, int(edge not in off_edges), senders.index(edge.sender)] = 1
        self._last = torch.tensor([len(into[read]) - 1 for read in self.reads])

    def of(
        self, model: Transformer, outputs: Sequence[Float[Tensor, "batch pos d_model"]], real: Bool[Tensor, "batch pos"]
    ) -> Float[Tensor, " reads"]:
        """Computes the leakage of each read in a run without patches; LayerNorm divides by its mean scale there.

        Args:
            model: that ran.
            outputs: of every sender.
            real: which positions are not padding.
        """
        sent = torch.stack([output[:EXAMPLES] for output in outputs])
        if self._kinds.device != sent.device:  # Once: a copy at every step would wait for the device.
            self._kinds, self._last = self._kinds.to(sent.device), self._last.to(sent.device)
        weight = real[:EXAMPLES].to(sent.dtype)
        weight = weight / weight.sum()
        rooted = (sent * weight.sqrt().unsqueeze(-1)).flatten(1, 2)
        squares = torch.einsum("rks,sij->rkij", self._kinds.to(sent.dtype), torch.bmm(rooted.mT, rooted))
        maps = [model.reading(receiver, slot) for receiver, slot in self.reads]
        power, start = [], 0
        for _, alike in itertools.groupby((weights for weights, _ in maps), key=lambda weights: weights.shape):
            stack = torch.stack(list(alike)).unsqueeze(1)
            power.append(((squares[start : start + len(stack)] @ stack) * stack).sum((-2, -1)))
            start += len(stack)
        off, on = (torch.cat(power) * self._scale(model, sent.detach(), weight).unsqueeze(1)).unbind(1)
        bias = torch.stack([bias.square().sum() for _, bias in maps])
        return off / (on + bias + LEAST)

    def _scale(
        self, model: Transformer, sent: Float[Tensor, "sender batch pos d_model"], weight: Float[Tensor, "batch pos"]
    ) -> Float[Tensor, " reads"]:
        """Computes the mean square of what LayerNorm multiplies each read's sum by."""
        if model.config.normalization_type is None:
            return sent.new_ones(len(self.reads))
        variance = sent.cumsum(0).var(-1, correction=0)
        return (weight / (variance + model.config.eps)).sum((-2, -1))[self._last]
