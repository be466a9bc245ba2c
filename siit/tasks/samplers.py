"""Draws the tokens of inputs: named, vectorised distributions over sequences of given lengths."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor


@runtime_checkable
class TokenSampler(Protocol):
    """Draws tokens for sequences of given lengths; what lies beyond a length is not looked at.

    Called with the size of the vocabulary, the lengths, the largest possible length and a generator.
    """

    def __call__(
        self, size: int, lengths: Int[Tensor, " batch"], max_len: int, generator: torch.Generator
    ) -> Int[Tensor, "batch max_len"]: ...


SAMPLERS: dict[str, TokenSampler] = {}


def _named(sampler: TokenSampler) -> TokenSampler:
    SAMPLERS[sampler.__name__] = sampler  # type: ignore[attr-defined]
    return sampler


@_named
def uniform(
    size: int, lengths: Int[Tensor, " batch"], max_len: int, generator: torch.Generator
) -> Int[Tensor, "batch max_len"]:
    """Draws every token uniformly over the vocabulary."""
    return torch.randint(size, (len(lengths), max_len), generator=generator)


@_named
def often_sorted(
    size: int, lengths: Int[Tensor, " batch"], max_len: int, generator: torch.Generator
) -> Int[Tensor, "batch max_len"]:
    """Draws in quarters: uniform; ascending; ascending but for two swapped neighbours; ascending but for one token.

    Swapped neighbours teach where exactly a sequence ceases to be sorted: they differ by little.
    """
    tokens = uniform(size, lengths, max_len, generator)
    beyond = torch.arange(max_len) >= lengths.unsqueeze(1)
    ascending = tokens.masked_fill(beyond, size).sort(dim=1).values.masked_fill(beyond, 0)
    kind = torch.randint(4, (len(lengths), 1), generator=generator)
    chance = torch.rand(len(lengths), 1, generator=generator)
    first = (chance * (lengths.unsqueeze(1) - 1)).long()
    pair = torch.cat([first, (first + 1).clamp(max=max_len - 1)], 1)
    swapped = ascending.scatter(1, pair, ascending.gather(1, pair.flip(1)))
    place = (chance * lengths.unsqueeze(1)).long()
    disturbed = ascending.scatter(1, place, tokens.gather(1, place))
    return torch.where(kind == 0, tokens, torch.where(kind == 1, ascending, torch.where(kind == 2, swapped, disturbed)))


@_named
def often_descending(
    size: int, lengths: Int[Tensor, " batch"], max_len: int, generator: torch.Generator
) -> Int[Tensor, "batch max_len"]:
    """Draws as `often_sorted` does, but from the largest to the smallest."""
    return size - 1 - often_sorted(size, lengths, max_len, generator)


@_named
def often_equal(
    size: int, lengths: Int[Tensor, " batch"], max_len: int, generator: torch.Generator
) -> Int[Tensor, "batch max_len"]:
    """Draws in thirds: uniform; one token throughout; one token throughout but for one place drawn anew."""
    tokens = uniform(size, lengths, max_len, generator)
    kind = torch.randint(3, (len(lengths), 1), generator=generator)
    place = (torch.rand(len(lengths), 1, generator=generator) * lengths.unsqueeze(1)).long()
    equal = tokens[:, :1].expand_as(tokens)
    disturbed = equal.scatter(1, place, tokens[:, -1:])
    return torch.where(kind == 0, tokens, torch.where(kind == 1, equal, disturbed))


@_named
def often_repeated(
    size: int, lengths: Int[Tensor, " batch"], max_len: int, generator: torch.Generator
) -> Int[Tensor, "batch max_len"]:
    """Draws in halves: uniform; uniform over two to four tokens of the vocabulary, other ones for each sequence."""
    tokens = uniform(size, lengths, max_len, generator)
    shuffled = torch.rand(len(lengths), size, generator=generator).argsort(1)
    kept = torch.randint(2, 5, (len(lengths), 1), generator=generator).clamp(max=size)
    repeated = shuffled.gather(1, (torch.rand(len(lengths), max_len, generator=generator) * kept).long())
    return torch.where(torch.rand(len(lengths), 1, generator=generator) < 0.5, tokens, repeated)


@_named
def uniform_counts(
    size: int, lengths: Int[Tensor, " batch"], max_len: int, generator: torch.Generator
) -> Int[Tensor, "batch max_len"]:
    """Draws every token's share of a sequence first, all shares alike: none of a token's counts is rare."""
    shares = torch.empty(len(lengths), size).exponential_(generator=generator)
    return torch.multinomial(shares, max_len, replacement=True, generator=generator)
