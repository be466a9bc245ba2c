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

from siit.certificate.executor import Executor, Layer

_READS, _ROWS = 2048, 512
"""Examples that go through a layer's heads, and through the layers after a part, at once."""


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
    executor, outputs = situation.executor, situation.outputs
    heads, layers = executor.config.n_heads, executor.layers
    change = situation.replacement - outputs
    found = Alone(nodes=outputs.new_zeros(len(nodes)), edges=outputs.new_zeros(len(edges)))
    wanted, measured = executor.blocks(edges), executor.blocks(found.edges)
    stream = outputs[:2].sum(0)
    before = 2
    found.nodes[:2][nodes[:2]] = _after_embeddings(situation, stream + change[:2][nodes[:2]])
    for index, layer in enumerate(layers):
        own = slice(before, before + heads)
        middle = stream + outputs[own].sum(0) + layer.bias
        after = middle + outputs[before + heads]

        found.nodes[own][nodes[own]] = _after_heads(situation, index, middle + change[own][nodes[own]])
        # By slot, sender and head.
        by_slot = [block[2 * index].unflatten(0, (heads, 3)).permute(1, 2, 0) for block in (wanted, measured)]
        some = max(1, _READS // outputs.shape[1])
        for terms, *parts in zip(
            change[:before].split(some), *(block.split(some, 1) for block in by_slot), strict=True
        ):
            for moved, asked, counts in zip(_moved(situation, layer, stream, terms), *parts, strict=True):
                counts[asked] = _after_heads(situation, index, middle + moved[asked])

        before += heads
        asked = wanted[2 * index + 1][0]
        reached = after - outputs[before] + executor.mlp(layer, middle + change[:before][asked])
        measured[2 * index + 1][0][asked] = _after_layer(situation, index, reached)
        asked = slice(before, before + 1) if nodes[before] else slice(0)
        found.nodes[asked] = _after_layer(situation, index, after + change[asked])
        stream, before = after, before + 1
    asked = wanted[-1][0]
    measured[-1][0][asked] = _after_layer(situation, len(layers) - 1, stream + change[asked])
    return found


def _moved(
    situation: Measured,
    layer: Layer,
    stream: Float[Tensor, "batch pos d_model"],
    change: Float[Tensor, "senders batch pos d_model"],
) -> Iterator[Float[Tensor, "senders heads batch pos d_model"]]:
    """Computes how heads' outputs change when their q, their k, or their v reads one sender's term replaced."""
    executor = situation.executor
    own, others = (executor.project(layer, read) for read in (stream.unsqueeze(0), stream + change))
    mixed = executor.attend(*own)
    for slot, other in enumerate(others):
        slots = [part.expand_as(other) for part in own]
        slots[slot] = other
        moved = executor.attend(*slots) - mixed  # [senders, batch, heads, pos, d_head]
        yield moved.transpose(1, 2) @ layer.leave.unsqueeze(1)


def _after_embeddings(situation: Measured, stream: Float[Tensor, "runs batch pos d_model"]) -> Float[Tensor, " runs"]:
    """Goes on from the embeddings, and measures."""
    return torch.cat([_rest(situation, 0, part) for part in _parts(stream)])


def _after_heads(
    situation: Measured, index: int, stream: Float[Tensor, "runs batch pos d_model"]
) -> Float[Tensor, " runs"]:
    """Goes on between a layer's heads and its MLP, and measures."""
    executor, last = situation.executor, index == len(situation.executor.layers) - 1
    counts = []
    for part in _parts(stream):
        part = part[:, situation.scored] if last else part
        counts.append(_rest(situation, index + 1, part + executor.mlp(executor.layers[index], part)))
    return torch.cat(counts)


def _after_layer(
    situation: Measured, index: int, stream: Float[Tensor, "runs batch pos d_model"]
) -> Float[Tensor, " runs"]:
    """Goes on after a layer, and measures."""
    last = index == len(situation.executor.layers) - 1
    parts = (part[:, situation.scored] if last else part for part in _parts(stream))
    return torch.cat([_rest(situation, index + 1, part) for part in parts])


def _rest(situation: Measured, index: int, stream: Tensor) -> Float[Tensor, " runs"]:
    """Runs the layers from this one on.

    Of the last layer's MLP and of the logits only the scored positions are needed: after its attention the stream is
    [runs, scored, d_model].
    """
    executor = situation.executor
    for layer in executor.layers[index:]:
        stream = stream + executor.attention(layer, stream)
        if layer is executor.layers[-1]:
            stream = stream[:, situation.scored]
        stream = stream + executor.mlp(layer, stream)
    return situation.measure(stream)


def _parts(stream: Float[Tensor, "runs batch pos d_model"]) -> tuple[Tensor, ...]:
    """Splits many runs, so that what they compute stays in the processor's cache."""
    return stream.split(max(1, _ROWS // stream.shape[1]))
