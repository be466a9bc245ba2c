"""Draws pairs of a base and a source input on the device; the splits never share what is held out.

Where the inputs are few they are enumerated, and the splits share inputs but no pair; where they are many, the
splits share no input.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from siit.interchange.pairs import Pairs, permuted_positions
from siit.tasks.balance import answer_weights, value_weights
from siit.tasks.inputs import InputSpace

Split = Literal["train", "val", "test", "all"]
"""`all` is what a verifier draws from: the whole input space."""
OWN = "own"
"""The one weighting of inputs that are as frequent as the task says."""
PARTS = 10
PARTS_OF: dict[Split, tuple[int, int]] = {"train": (0, 8), "val": (8, 9), "test": (9, 10), "all": (0, PARTS)}
"""Which tenths, from and to, belong to a split."""
ENUMERATED = 1 << 15
"""Up to this many inputs a task's input space is enumerated."""
POOL = 1 << 17
"""Inputs drawn for the pools of a larger space."""
SAME_LENGTH = 0.5
"""Share of pairs whose source has the base's length."""
REARRANGED = 0.5
"""Share of pairs whose source is the base in another order, where the task asks for such pairs."""


class TooFewInputsError(ValueError):
    """A task has too few inputs to keep the splits apart."""


class ProgramPairSampler:
    """Draws pairs of one split, vectorised, on one device.

    - Lengths are uniform, but half of a causal task's inputs have the greatest length. These ask all that their
      prefixes ask; otherwise the last positions would be asked rarely.
    - Half of the sources have the base's length, the others any.
    - Inputs of one length are as frequent as the task's sampler draws them. Where the task is balanced they are
      weighted by their answers instead.
    - In an enumerated space a length with fewer inputs than parts occurs among the bases only. Its pairs with itself
      could not all be kept apart.
    - Where the task is rearranged, half of the sources are the base in another order. All orders of the same tokens
      then belong to one split.

    Args:
        space: whose inputs are drawn.
        split: train, val or test; or all of the space.
        device: where pairs are drawn and live.
        seed: of the pools; the same for all splits of one run.
        by_value: weighs the inputs in several ways instead: by how rare each variable's values are, or the answers.

    Attributes:
        weightings: the names of the ways in which inputs are weighed: variables and `output`, or one that is `own`.

    Raises:
        TooFewInputsError: the inputs are too few to hold the split out.
    """

    def __init__(
        self,
        space: InputSpace,
        split: Split,
        device: torch.device | str = "cpu",
        seed: int = 0,
        by_value: bool = False,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.enumerated = space.input_count <= ENUMERATED and not space.rearranged
        first, last = PARTS_OF[split]
        if self.enumerated:
            tokens = space.enumerate()
            tokens = tokens[torch.randperm(len(tokens), generator=generator)]
        pool = space.sample(POOL, generator)
        if not self.enumerated:
            tokens = pool.unique(dim=0)
            split_part = mixed(tokens.sort(dim=1).values if space.rearranged else tokens) % PARTS
            tokens = tokens[(split_part >= first) & (split_part < last)]
        if by_value:
            weighed = value_weights(space, tokens)
        elif space.balanced:
            weighed = {OWN: answer_weights(space, tokens)}
        elif space.sampler != "uniform":
            weighed = {OWN: _frequencies(tokens, pool)}
        else:
            weighed = {OWN: torch.ones(len(tokens), dtype=torch.float64)}
        self.weightings = tuple(weighed)
        lengths = (tokens < space.bos_id).sum(1)
        sizes = torch.bincount(lengths, minlength=space.n_ctx)
        # A group is the inputs of one length and one part. Only enumerated inputs have parts, and of their pairs those
        # belong to this split whose parts sum to one of its own, modulo PARTS.
        group = lengths * PARTS
        allowed = torch.ones(PARTS, PARTS)
        if self.enumerated:
            order = lengths.argsort(stable=True)
            place = torch.arange(len(tokens)) - (sizes.cumsum(0) - sizes)[lengths[order]]
            group[order] += place % PARTS
            part = (torch.arange(PARTS).unsqueeze(1) + torch.arange(PARTS)) % PARTS
            allowed = ((part >= first) & (part < last)).float()
        order = group.argsort(stable=True)
        groups = space.n_ctx * PARTS
        ends = torch.nn.functional.pad(torch.bincount(group, minlength=groups).cumsum(0), (1, 0))
        running = torch.nn.functional.pad(torch.stack([*weighed.values()])[:, order].cumsum(1), (1, 0))
        self.tokens, self.rearranged, self.size = tokens[order].to(device), space.rearranged, len(space.model.vocab)
        self.ends, self.allowed = ends.to(device), allowed.to(device)
        self.mass = running[:, ends].diff().reshape(len(running), -1, PARTS).float().to(device)
        # One increasing sequence, so that one search finds inputs of all weightings.
        begins = torch.nn.functional.pad(running[:, -1].cumsum(0), (1, 0))[:-1]
        self.running = (running + begins.unsqueeze(1)).flatten().to(device)
        self.lengths = _choices(sizes > 0, space.causal).to(device)
        # In an enumerated space every part of a length must have an input, so that each can be held out.
        held_out = self.enumerated and split != "all"
        self.may_pair = (sizes >= (PARTS if held_out else 1)).to(device)
        self.source_lengths = _choices(self.may_pair, space.causal).to(device)
        if not len(self.source_lengths):
            raise TooFewInputsError(f"{space.name}: {space.input_count} inputs are too few to hold a {split} split out")

    @property
    def device(self) -> torch.device:
        """Where pairs are drawn and live."""
        return self.tokens.device

    def draw(self, count: int, generator: torch.Generator) -> Pairs:
        """Draws pairs, their inputs weighed in the first way.

        Args:
            count: how many.
            generator: on the sampler's device.
        """
        first = torch.zeros(count, dtype=torch.int64, device=self.device)
        return self.draw_weighed(first, first, generator)

    def draw_weighed(
        self, by_base: Int[Tensor, " batch"], by_source: Int[Tensor, " batch"], generator: torch.Generator
    ) -> Pairs:
        """Draws pairs, each of their inputs weighed in a way of its own.

        Args:
            by_base: for each pair, the weighting of its base, as a place in `weightings`.
            by_source: that of its source.
            generator: on the sampler's device.
        """
        count, device = len(by_base), self.device

        def uniform() -> Tensor:
            return torch.rand(count, device=device, generator=generator)

        def one_of(lengths: Tensor) -> Tensor:
            return lengths[(uniform() * len(lengths)).long()]

        base_length = one_of(self.lengths)
        same = (uniform() < SAME_LENGTH) & self.may_pair[base_length]
        source_length = torch.where(same, base_length, one_of(self.source_lengths))
        of_base, of_source = self.mass[by_base, base_length], self.mass[by_source, source_length]
        mass = of_base.unsqueeze(2) * of_source.unsqueeze(1) * self.allowed
        upto = mass.flatten(1).cumsum(1)
        # Rounding must not lead beyond the last pair of parts that has any mass.
        place = uniform().clamp(max=1 - 1e-6) * upto[:, -1]
        chosen = torch.searchsorted(upto, place.unsqueeze(1), right=True).squeeze(1)
        base = self._pick(base_length * PARTS + chosen // PARTS, by_base, uniform())
        source = self._pick(source_length * PARTS + chosen % PARTS, by_source, uniform())
        if not self.rearranged:
            return Pairs(self.tokens[base], self.tokens[source])
        other_order = self.tokens[base].gather(1, permuted_positions(self.tokens[base], self.size, generator))
        rearranged = (uniform() < REARRANGED).unsqueeze(1)
        return Pairs(self.tokens[base], torch.where(rearranged, other_order, self.tokens[source]))

    def _pick(
        self, group: Int[Tensor, " batch"], by: Int[Tensor, " batch"], chance: Float[Tensor, " batch"]
    ) -> Int[Tensor, " batch"]:
        """Picks an input of each group, by one of the weightings; `chance` is uniform from 0 to 1."""
        begin = by * (len(self.tokens) + 1)
        start, end = begin + self.ends[group], begin + self.ends[group + 1]
        low, high = self.running[start], self.running[end]
        place = torch.searchsorted(self.running, low + chance * (high - low), right=True) - 1
        return torch.minimum(torch.maximum(place, start), end - 1) - begin


def _choices(present: Bool[Tensor, " length"], causal: bool) -> Int[Tensor, " choice"]:
    """Lists lengths to draw from evenly: those present, the greatest as often as all together where causal."""
    lengths = torch.nonzero(present).flatten()
    return torch.cat([lengths, lengths[-1:].expand(len(lengths))]) if causal else lengths


def _frequencies(rows: Int[Tensor, "row pos"], drawn: Int[Tensor, "draw pos"]) -> Float[Tensor, " row"]:
    """Counts how often each of some different rows was drawn, at least once each."""
    _, place = torch.cat([rows, drawn]).unique(dim=0, return_inverse=True)
    return torch.bincount(place)[place[: len(rows)]].double()


def mixed(rows: Int[Tensor, "batch pos"]) -> Int[Tensor, " batch"]:
    """Hashes each row to a well-mixed, non-negative number, the same on every machine.

    Args:
        rows: integers.
    """
    state = torch.zeros(len(rows), dtype=torch.int64)
    for column in rows.unbind(1):
        state = (state + column + 1) * 0x5851F42D4C957F2D
        state = state ^ ((state >> 29) & 0x7FFFFFFFF)
    return (state >> 17) & 0x7FFFFFFF
