"""Pairs of a base and a source input, drawn on the device; the splits never share what is held out.

Where the inputs are few they are enumerated, and the splits share inputs but no pair; where they are many, the
splits share no input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from siit.data.task import Task

Split = Literal["train", "val", "test"]
PARTS = 10
_PARTS_OF: dict[Split, tuple[int, int]] = {"train": (0, 8), "val": (8, 9), "test": (9, 10)}
"""Which tenths, from and to, belong to a split."""
ENUMERATED = 1 << 15
"""Up to this many inputs a task's input space is enumerated."""
POOL = 1 << 17
"""Inputs drawn for the pools of a larger space."""
SAME_LENGTH = 0.5
"""Share of pairs whose source has the base's length."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Base and source inputs, [batch, pos] each."""

    base: Int[Tensor, "batch pos"]
    source: Int[Tensor, "batch pos"]

    def __len__(self) -> int:
        return len(self.base)


class PairSampler:
    """Draws pairs of one split, vectorised, on one device.

    Lengths are uniform; half of the sources have the base's length, the others any. In an enumerated space a length
    with fewer inputs than parts occurs among the bases only: its pairs with itself could not all be kept apart.

    Args:
        task: whose inputs are drawn.
        split: train, val or test.
        device: where pairs are drawn and live.
        seed: of the pools; the same for all splits of one run.
    """

    def __init__(self, task: Task, split: Split, device: torch.device | str = "cpu", seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.enumerated = task.sampler == "uniform" and task.input_count <= ENUMERATED
        self.split: Split = split
        self.first, self.last = _PARTS_OF[split]
        if self.enumerated:
            tokens = task.enumerate()
            tokens = tokens[torch.randperm(len(tokens), generator=generator)]
        else:
            tokens = task.sample(POOL, generator).unique(dim=0)
            part = _mixed(tokens) % PARTS
            tokens = tokens[(part >= self.first) & (part < self.last)]
        lengths = (tokens < task.bos_id).sum(1)
        order = lengths.argsort(stable=True)
        sizes = torch.bincount(lengths, minlength=task.n_ctx)
        starts = sizes.cumsum(0) - sizes
        self.smallest = PARTS if self.enumerated else 1  # so that every residue occurs
        self.tokens = tokens[order].to(device)
        self.starts, self.sizes = starts.to(device), sizes.to(device)
        self.lengths = torch.nonzero(sizes).flatten().to(device)
        self.source_lengths = torch.nonzero(sizes >= self.smallest).flatten().to(device)
        if not len(self.source_lengths):
            raise ValueError(f"{task.name}: {task.input_count} inputs are too few to hold a {split} split out")

    def draw(self, count: int, generator: torch.Generator) -> Pairs:
        """`count` pairs; the generator lives on the sampler's device."""
        device = self.tokens.device

        def uniform() -> Tensor:
            return torch.rand(count, device=device, generator=generator)

        def one_of(lengths: Tensor) -> Tensor:
            return lengths[(uniform() * len(lengths)).long()]

        base_length = one_of(self.lengths)
        same = (uniform() < SAME_LENGTH) & (self.sizes[base_length] >= self.smallest)
        source_length = torch.where(same, base_length, one_of(self.source_lengths))
        base = self.starts[base_length] + (uniform() * self.sizes[base_length]).long()
        start, size = self.starts[source_length], self.sizes[source_length]
        if self.enumerated:
            # A pair's split is the sum of its inputs' places modulo PARTS: draw that first, then a source that fits.
            part = self.first + (uniform() * (self.last - self.first)).long()
            residue = (part - base - start) % PARTS
            fitting = (size - residue + PARTS - 1) // PARTS
            source = start + residue + PARTS * (uniform() * fitting).long()
        else:
            source = start + (uniform() * size).long()
        return Pairs(self.tokens[base], self.tokens[source])


def permuted_positions(
    tokens: Int[Tensor, "batch pos"], size: int, generator: torch.Generator
) -> Int[Tensor, "batch pos"]:
    """Position ids permuted among the tokens of each example; BOS and padding stay in place.

    Args:
        size: how many ids are tokens' (BOS and PAD come after them).
    """
    keys = torch.rand(tokens.shape, device=tokens.device, generator=generator)
    slots = torch.arange(tokens.shape[-1], device=tokens.device)
    keys = torch.where(tokens < size, keys, slots + 2.0)
    keys[:, 0] = -1.0
    return keys.argsort(dim=-1)


def _mixed(rows: Int[Tensor, "batch pos"]) -> Int[Tensor, " batch"]:
    """A well-mixed, non-negative number for each row, the same on every machine."""
    state = torch.zeros(len(rows), dtype=torch.int64)
    for column in rows.unbind(1):
        state = (state + column + 1) * 0x5851F42D4C957F2D
        state = state ^ ((state >> 29) & 0x7FFFFFFFF)
    return (state >> 17) & 0x7FFFFFFF
