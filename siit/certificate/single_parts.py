"""Replaces each of many parts alone, all other things as they are, and measures the run.

Only what a part can reach is computed again, for many parts of one layer at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.certificate.executor import At, Executor, Layer

_ROWS = 2048
"""Rows of the stream that go through a layer at once."""
_FEW = 0.5
"""The last layer's queries are computed where they are needed alone, if that is this share of all or less."""


@runtime_checkable
class Measured(Protocol):
    """A batch of runs in which parts are replaced, and what is measured of them."""

    @property
    def executor(self) -> Executor:
        """Runs the model."""

    @property
    def outputs(self) -> Float[Tensor, "senders batch pos d_model"]:
        """What each sender writes, centred."""

    @property
    def replacement(self) -> Float[Tensor, "senders #batch pos d_model"]:
        """What replaces that, centred."""

    @property
    def scored(self) -> Bool[Tensor, "batch pos"]:
        """The positions that are measured."""

    def measure(self, final: Float[Tensor, "*runs scored d_model"]) -> Float[Tensor, "*runs"]:
        """Measures runs, of what the unembedding reads at these positions."""


@dataclass(frozen=True, eq=False)
class Alone:
    """What was measured with each part replaced alone; 0 for parts not asked for.

    Attributes:
        nodes: by sender, in the executor's order.
        edges: by edge, in the executor's order.
    """

    nodes: Float[Tensor, " senders"]
    edges: Float[Tensor, " edges"]


@torch.no_grad()
def alone(
    situation: Measured,
    nodes: Bool[Tensor, " senders"],
    edges: Bool[Tensor, " edges"],
) -> Alone:
    """Replaces parts, one at a time.

    Args:
        situation: a batch of runs.
        nodes, edges: which parts are asked for.
    """
    return _Runs(situation).alone(nodes, edges)


class _Runs:
    """Runs in each of which one part is replaced.

    What comes after the last layer's attention is needed at the scored positions alone: a stream is [scored, d_model]
    there, before it [batch, pos, d_model].
    """

    def __init__(self, situation: Measured) -> None:
        self.executor, self.measure = situation.executor, situation.measure
        self.outputs, self.change = situation.outputs, situation.replacement - situation.outputs
        self.scored = situation.scored
        self.last = self.executor.layers[-1]
        few = int(self.scored.sum(1).max()) <= _FEW * self.scored.shape[1]
        self.at = At(self.scored) if few else None

    def alone(self, nodes: Bool[Tensor, " senders"], edges: Bool[Tensor, " edges"]) -> Alone:
        """Replaces these parts, one at a time."""
        executor, outputs, change = self.executor, self.outputs, self.change
        heads, layers = executor.config.n_heads, executor.layers
        found = Alone(nodes=outputs.new_zeros(len(nodes)), edges=outputs.new_zeros(len(edges)))
        wanted, measured = executor.blocks(edges), executor.blocks(found.edges)
        stream = outputs[:2].sum(0)
        found.nodes[:2][nodes[:2]] = self._rest(0, stream, change[:2][nodes[:2]])
        before = 2
        for index, layer in enumerate(layers):
            own, mlp = slice(before, before + heads), before + heads
            middle = stream + outputs[own].sum(0) + layer.bias
            if layer is self.last:
                middle, outputs, change = (part[..., self.scored, :] for part in (middle, outputs, change))
            after = middle + outputs[mlp]

            # By slot, sender and head.
            by_slot = [block[2 * index].unflatten(0, (heads, 3)).permute(1, 2, 0) for block in (wanted, measured)]
            parts = (block.split(self._at_once(stream), 1) for block in (self.change[None, :before], *by_slot))
            for (terms,), *slots in zip(*parts, strict=True):
                for moved, asked, counts in zip(self._moved(layer, stream, terms), *slots, strict=True):
                    counts[asked] = self._after_heads(index, middle, moved[asked])
            found.nodes[own][nodes[own]] = self._after_heads(index, middle, change[own][nodes[own]])

            asked = wanted[2 * index + 1][0]
            read = (middle + part for part in change[:mlp][asked].split(self._at_once(middle)))
            reached = torch.cat([executor.mlp(layer, part) for part in read])
            measured[2 * index + 1][0][asked] = self._rest(index + 1, after, reached - outputs[mlp])
            asked = slice(mlp, mlp + 1) if nodes[mlp] else slice(0)
            found.nodes[asked] = self._rest(index + 1, after, change[asked])
            stream, before = after, mlp + 1
        asked = wanted[-1][0]
        measured[-1][0][asked] = self._rest(len(layers), stream, change[asked])
        return found

    def _moved(
        self,
        layer: Layer,
        stream: Float[Tensor, "batch pos d_model"],
        change: Float[Tensor, "senders batch pos d_model"],
    ) -> Iterator[Float[Tensor, "senders heads *rows d_model"]]:
        """Computes how heads' outputs change when their q, their k, or their v reads one sender's term replaced."""
        executor, at = self.executor, self.at if layer is self.last else None
        own, others = (executor.project(layer, read, at) for read in (stream.unsqueeze(0), stream + change))
        mixed = executor.attend(*own, at=at)
        for slot, other in enumerate(others):
            slots = [part.expand(len(change), *part.shape[1:]) for part in own]
            slots[slot] = other
            moved = executor.attend(*slots, at=at) - mixed  # [senders, batch, heads, queries, d_head]
            by_head = moved.transpose(1, 2) @ layer.leave.unsqueeze(1)
            yield self._needed(by_head) if layer is self.last else by_head

    def _after_heads(
        self,
        index: int,
        stream: Float[Tensor, "*rows d_model"],
        change: Float[Tensor, "runs *rows d_model"],
    ) -> Float[Tensor, " runs"]:
        """Goes on between a layer's heads and its MLP, and measures."""
        mlp, layer = self.executor.mlp, self.executor.layers[index]
        parts = (stream + part for part in change.split(self._at_once(stream)))
        return torch.cat([self._go_on(index + 1, part + mlp(layer, part)) for part in parts])

    def _rest(
        self,
        index: int,
        stream: Float[Tensor, "*rows d_model"],
        change: Float[Tensor, "runs *rows d_model"],
    ) -> Float[Tensor, " runs"]:
        """Runs the layers from this one on, and measures."""
        parts = change.split(self._at_once(stream))
        return torch.cat([self._go_on(index, stream + part) for part in parts])

    def _go_on(self, index: int, stream: Float[Tensor, "runs *rows d_model"]) -> Float[Tensor, " runs"]:
        for layer in self.executor.layers[index:]:
            if layer is self.last:
                written = self.executor.attention(layer, stream, self.at)
                stream = stream[:, self.scored] + self._needed(written)
            else:
                stream = stream + self.executor.attention(layer, stream)
            stream = stream + self.executor.mlp(layer, stream)
        return self.measure(stream)

    def _needed(self, stream: Float[Tensor, "*any batch queries d_model"]) -> Float[Tensor, "*any scored d_model"]:
        """Takes what the last layer's attention wrote at the scored positions."""
        return stream[..., self.scored if self.at is None else self.at.real, :]

    def _at_once(self, stream: Float[Tensor, "*rows d_model"]) -> int:
        """Chooses how many runs go through a layer together, so that what they compute stays in the cache."""
        return max(1, _ROWS // max(1, stream.numel() // stream.shape[-1]))
