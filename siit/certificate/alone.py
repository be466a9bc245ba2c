"""Replaces each part off the circuit alone, all other things as they are, and counts what is still right.

Only what a part can reach is computed again, for many parts of one layer at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.certificate.executor import Layer
from siit.certificate.situation import Situation

_ROWS = 256
"""Runs of a base that go through the layers after a part at once."""


@dataclass(frozen=True, eq=False)
class Right:
    """Counts, for each part, the scored positions at which the answer stays right; 0 for parts not asked for.

    Attributes:
        nodes: by sender, in the executor's order.
        edges: by edge, in the executor's order.
    """

    nodes: Float[Tensor, " senders"]
    edges: Float[Tensor, " edges"]


@torch.no_grad()
def right_alone(
    situation: Situation,
    replacement: Float[Tensor, "#batch senders pos d_model"],
    nodes: Bool[Tensor, " senders"],
    edges: Bool[Tensor, " edges"],
) -> Right:
    """Replaces parts, one at a time.

    Args:
        situation: a batch of pairs.
        replacement: what replaces each sender's output.
        nodes, edges: which parts are asked for.
    """
    executor, outputs = situation.executor, situation.outputs
    heads = executor.config.n_heads
    run = _Run(situation)
    change = replacement - outputs
    right = Right(nodes=outputs.new_zeros(len(nodes)), edges=outputs.new_zeros(len(edges)))
    wanted, counts = executor.blocks(edges), executor.blocks(right.edges)
    stream = outputs[:, :2].sum(1)
    before = 2
    for index, layer in enumerate(executor.layers):
        own, written = slice(before, before + heads), outputs[:, before : before + heads]
        middle = stream + written.sum(1) + layer.bias
        after = middle + outputs[:, before + heads]

        asked = nodes[own]
        right.nodes[own][asked] = run.after_heads(index, middle.unsqueeze(1) + change[:, own][:, asked])
        asked, found = (by_edge[2 * index].unflatten(0, (heads, 3)).permute(1, 2, 0) for by_edge in (wanted, counts))
        for slot, moved in enumerate(_moved(situation, layer, stream, stream.unsqueeze(1) + change[:, :before])):
            chosen = asked[slot]  # [senders, heads]
            found[slot][chosen] = run.after_heads(index, middle.unsqueeze(1) + moved[:, chosen])

        before += heads
        asked = wanted[2 * index + 1][0]
        read = middle.unsqueeze(1) + change[:, :before][:, asked]
        reached = after.unsqueeze(1) + executor.mlp(layer, read) - outputs[:, before].unsqueeze(1)
        counts[2 * index + 1][0][asked] = run.after_layer(index, reached)
        if nodes[before]:
            right.nodes[before] = run.after_layer(index, (after + change[:, before]).unsqueeze(1))[0]
        stream, before = after, before + 1
    asked = wanted[-1][0]
    counts[-1][0][asked] = run.after_layer(len(executor.layers) - 1, stream.unsqueeze(1) + change[:, asked])
    return right


def _moved(
    situation: Situation,
    layer: Layer,
    stream: Float[Tensor, "batch pos d_model"],
    reads: Float[Tensor, "batch reads pos d_model"],
) -> Iterator[Float[Tensor, "batch reads heads pos d_model"]]:
    """Computes how heads' outputs change when their q, their k, or their v reads something else than the stream."""
    executor = situation.executor
    own, others = (executor.project(layer, read) for read in (stream.unsqueeze(1), reads))
    mixed = executor.attend(*own)
    for slot, other in enumerate(others):
        slots = [part.expand_as(other) for part in own]
        slots[slot] = other
        yield (executor.attend(*slots) - mixed) @ layer.leave


class _Run:
    """The rest of a run, from somewhere in a layer on, for many runs of each base; counts what is right at its end."""

    def __init__(self, situation: Situation) -> None:
        self.situation, self.executor = situation, situation.executor

    def after_heads(self, index: int, stream: Float[Tensor, "batch runs pos d_model"]) -> Float[Tensor, " runs"]:
        """Goes on between the heads and the MLP of a layer."""
        layer, last = self.executor.layers[index], index == len(self.executor.layers) - 1
        counts = []
        for part in self._parts(stream):
            part = self._scored(part) if last else part
            counts.append(self._rest(index + 1, part + self.executor.mlp(layer, part)))
        return torch.cat(counts)

    def after_layer(self, index: int, stream: Float[Tensor, "batch runs pos d_model"]) -> Float[Tensor, " runs"]:
        """Goes on after a layer."""
        last = index == len(self.executor.layers) - 1
        parts = self._parts(stream)
        return torch.cat([self._rest(index + 1, self._scored(part) if last else part) for part in parts])

    def _rest(self, index: int, stream: Tensor) -> Float[Tensor, " runs"]:
        """Runs the layers from this one on; after the last one the stream is [runs, scored, d_model]."""
        for layer in self.executor.layers[index:]:
            stream = stream + self.executor.attention(layer, stream)
            if layer is self.executor.layers[-1]:
                stream = self._scored(stream)
            stream = stream + self.executor.mlp(layer, stream)
        return self.situation.right(stream).sum(1).to(stream)

    def _parts(self, stream: Tensor) -> tuple[Tensor, ...]:
        return stream.split(max(1, _ROWS // len(stream)), dim=1)

    def _scored(self, stream: Float[Tensor, "batch runs pos d_model"]) -> Float[Tensor, "runs scored d_model"]:
        """Takes the scored positions: of the others no answer is needed, and in the last layer no MLP."""
        return stream.transpose(0, 1)[:, self.situation.scored]
