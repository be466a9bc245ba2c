"""Defines the input space of a task: which inputs there are, and how single ones are drawn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from siit.causal import CausalModel
from siit.tasks.samplers import SAMPLERS


@dataclass(frozen=True, eq=False)
class InputSpace:
    """All inputs of a causal model: BOS, `min_len` to `max_len` tokens, padding.

    Attributes:
        name: of the case.
        model: the causal model.
        min_len: the smallest number of tokens, BOS not counted.
        causal: whether transformers attend causally.
        sampler: the name of the distribution of tokens, see `siit.tasks.samplers`.
        balanced: whether pairs are drawn such that rare answers are as frequent as others, see `.balance`.
        rearranged: whether half of the sources are the base in another order, see `.pairs`.

    Raises:
        ValueError: an unknown sampler, lengths that cannot be, or balance of numerical answers.
    """

    name: str
    model: CausalModel
    min_len: int
    causal: bool
    sampler: str = "uniform"
    balanced: bool = False
    rearranged: bool = False

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(f"{self.name}: sampler: found {self.sampler!r}, accepted: {', '.join(SAMPLERS)}")
        if not 1 <= self.min_len <= self.model.max_len:
            raise ValueError(f"{self.name}: min_len: found {self.min_len}, accepted are 1 to {self.model.max_len}")
        if self.balanced and self.model.classes is None:
            raise ValueError(f"{self.name}: balanced: found true, accepted for numerical answers is false")

    @property
    def bos_id(self) -> int:
        """Id of BOS, after the tokens."""
        return len(self.model.vocab)

    @property
    def pad_id(self) -> int:
        """Id of padding, the last one."""
        return len(self.model.vocab) + 1

    @property
    def d_vocab(self) -> int:
        """How many ids there are: tokens, BOS and PAD."""
        return len(self.model.vocab) + 2

    @property
    def n_ctx(self) -> int:
        """How many positions an input has, that of BOS included."""
        return self.model.max_len + 1

    @property
    def input_count(self) -> int:
        """Counts the different inputs."""
        return sum(len(self.model.vocab) ** length for length in range(self.min_len, self.model.max_len + 1))

    def frame(self, tokens: Int[Tensor, "batch max_len"], lengths: Int[Tensor, " batch"]) -> Int[Tensor, "batch pos"]:
        """Puts BOS before the tokens and padding behind them.

        Args:
            tokens: ids; those beyond a length are replaced.
            lengths: how many tokens each input has.
        """
        beyond = torch.arange(tokens.shape[1]) >= lengths.unsqueeze(1)
        bos = torch.full((len(tokens), 1), self.bos_id)
        return torch.cat([bos, tokens.masked_fill(beyond, self.pad_id)], dim=1)

    def sample(self, count: int, generator: torch.Generator) -> Int[Tensor, "count pos"]:
        """Draws inputs of uniform lengths, on the CPU.

        Args:
            count: how many.
            generator: of the draw.
        """
        lengths = torch.randint(self.min_len, self.model.max_len + 1, (count,), generator=generator)
        draw = SAMPLERS[self.sampler]
        return self.frame(draw(len(self.model.vocab), lengths, self.model.max_len, generator), lengths)

    def enumerate(self) -> Int[Tensor, "count pos"]:
        """Lists all inputs, shortest first."""
        rows = []
        for length in range(self.min_len, self.model.max_len + 1):
            words = torch.tensor(list(itertools.product(range(len(self.model.vocab)), repeat=length)))
            padded = torch.nn.functional.pad(words, (0, self.model.max_len - length))
            rows.append(self.frame(padded, torch.full((len(words),), length)))
        return torch.cat(rows)
