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

from siit.graph.architecture import LOGITS, Edge, ModelConfig, Slot, edges, is_mlp, layer_of
from siit.graph.circuit import Circuit
from siit.transformer import Transformer

EXAMPLES = 32
"""Of a batch that it is measured on: mean squares hardly differ between batches."""
LEAST = 0.1
"""Mean square that counts as read over the circuit where less is: a head that attends everywhere starts at nothing."""
SCALE = 0.1
"""Factor of the leakage of LayerNorm's scales."""


class Leakage:
    """Measures the leakage of each read of a circuit: of each slot of its heads, its MLPs and the logits.

    A read is linear in the outputs of all components before it. Each of these has a mean square in it. Leakage is the
    sum of those over off-circuit edges, as a share of the others and of what no edge carries. That is the read's own
    bias, and the attention biases `b_O` in the stream. Each component counts by itself: what several say may cancel in
    an input, but not where one is replaced.

    LayerNorm divides by the norm of all that is read, whatever directions a read takes. So the same share of whole
    outputs is added, `SCALE` times, for reads that take anything over the circuit.

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
        self._layers = torch.tensor([_layers_before(circuit.config, receiver) for receiver, _ in self.reads])

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
        if self._kinds.device != sent.device:  # Once: no later step copies to the device.
            self._kinds, self._last, self._layers = (
                each.to(sent.device) for each in (self._kinds, self._last, self._layers)
            )
        weight = real[:EXAMPLES].to(sent.dtype)
        weight = weight / weight.sum()
        constant = model.constants()[self._layers]
        squares = self._squares(sent, constant, weight)
        maps = [model.reading(receiver, slot) for receiver, slot in self.reads]
        power = _power(squares, [weights for weights, _ in maps])
        bias = torch.stack([bias.square().sum() for _, bias in maps]) + LEAST
        if model.config.normalization_type is None:
            return power[:, 0] / (power[:, 1] + bias)
        stream = (sent.cumsum(0)[self._last] + constant.unsqueeze(1).unsqueeze(1)).detach()
        gain = (weight / (stream.var(-1, correction=0) + model.config.eps)).sum((-2, -1))
        # LayerNorm takes norms without the mean.
        whole = squares.diagonal(dim1=-2, dim2=-1).sum(-1) - squares.mean(-1).sum(-1)
        scale = whole[:, 0] / (whole[:, 1] + LEAST)
        reads_circuit = self._kinds[:, 1].any(1)
        return power[:, 0] * gain / (power[:, 1] * gain + bias) + SCALE * torch.where(reads_circuit, scale, 0.0)

    def _squares(
        self,
        sent: Float[Tensor, "sender batch pos d_model"],
        constant: Float[Tensor, "read d_model"],
        weight: Float[Tensor, "batch pos"],
    ) -> Float[Tensor, "read 2 d_model d_model"]:
        """Adds up the second moments of what each read takes, over off-circuit edges and otherwise."""
        rooted = (sent * weight.sqrt().unsqueeze(-1)).flatten(1, 2)
        off, on = torch.einsum("rks,sij->krij", self._kinds.to(sent.dtype), torch.bmm(rooted.mT, rooted)).unbind()
        return torch.stack([off, on + constant.unsqueeze(2) * constant.unsqueeze(1)], 1)


def _power(
    squares: Float[Tensor, "read 2 d_model d_model"], maps: Sequence[Float[Tensor, "d_model _"]]
) -> Float[Tensor, "read 2"]:
    """Computes the mean squares of what maps make of it; those of one shape stand side by side."""
    found: list[Tensor] = []
    for _, alike in itertools.groupby(maps, key=lambda weights: weights.shape):
        stack = torch.stack(list(alike)).unsqueeze(1)
        start = sum(map(len, found))
        found.append(((squares[start : start + len(stack)] @ stack) * stack).sum((-2, -1)))
    return torch.cat(found)


def _layers_before(config: ModelConfig, receiver: str) -> int:
    """Counts the layers whose attention stands before a receiver."""
    if receiver == LOGITS:
        return config.n_layers
    return layer_of(receiver) + int(is_mlp(receiver))
