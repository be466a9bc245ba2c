"""A task: a causal model with the inputs that it is trained and certified on."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal import CausalModel, Inputs
from siit.data.samplers import SAMPLERS
from tracr_cases import Case

if TYPE_CHECKING:
    from siit.data.pairs import Pairs, Sampler, Split


@dataclass(frozen=True, eq=False)
class Probe:
    """Inputs of another kind than the pairs, on which a model is measured and reported, not gated.

    Attributes:
        tokens: the inputs.
        target, scored: what is right at which positions.
    """

    tokens: Int[Tensor, "batch pos"]
    target: Int[Tensor, "batch pos"]
    scored: Bool[Tensor, "batch pos"]


MAX_TOLERANCE = 0.05
"""Numerical outputs are right within this, or half the smallest gap between two outputs of a position."""


@dataclass(frozen=True, eq=False)
class Task:
    """A causal model with its inputs: BOS, `min_len` to `max_len` tokens, padding.

    Attributes:
        name: of the case.
        model: the causal model.
        min_len: the smallest number of tokens, BOS not counted.
        causal: whether transformers attend causally.
        sampler: the name of the distribution of tokens, see `siit.data.samplers`.
        balanced: whether pairs are drawn such that rare answers are as frequent as others, see `siit.data.balance`.
        rearranged: whether half of the sources are the base in another order, see `siit.data.pairs`.
        case: the program that the causal model was built from; None where it was written by hand.
    """

    name: str
    model: CausalModel
    min_len: int
    causal: bool
    sampler: str = "uniform"
    balanced: bool = False
    rearranged: bool = False
    case: Case | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(f"{self.name}: sampler: found {self.sampler!r}, accepted: {', '.join(SAMPLERS)}")
        if not 1 <= self.min_len <= self.model.max_len:
            raise ValueError(f"{self.name}: min_len: found {self.min_len}, accepted are 1 to {self.model.max_len}")
        if self.balanced and self.model.classes is None:
            raise ValueError(f"{self.name}: balanced: found true, accepted for numerical answers is false")

    @property
    def bos_id(self) -> int:
        return len(self.model.vocab)

    @property
    def pad_id(self) -> int:
        return len(self.model.vocab) + 1

    @property
    def d_vocab(self) -> int:
        return len(self.model.vocab) + 2

    @property
    def special_tokens(self) -> tuple[str, str]:
        """What BOS and PAD are called."""
        return "BOS", "PAD"

    @property
    def n_ctx(self) -> int:
        return self.model.max_len + 1

    @property
    def output(self) -> str:
        """Kind of the answer: categorical or numerical."""
        return self.model.answer.kind

    @property
    def d_vocab_out(self) -> int:
        return 1 if self.model.classes is None else len(self.model.classes)

    @property
    def input_count(self) -> int:
        """How many different inputs there are."""
        return sum(len(self.model.vocab) ** length for length in range(self.min_len, self.model.max_len + 1))

    def frame(self, tokens: Int[Tensor, "batch max_len"], lengths: Int[Tensor, " batch"]) -> Int[Tensor, "batch pos"]:
        """Puts BOS before the tokens and padding behind them."""
        beyond = torch.arange(tokens.shape[1]) >= lengths.unsqueeze(1)
        bos = torch.full((len(tokens), 1), self.bos_id)
        return torch.cat([bos, tokens.masked_fill(beyond, self.pad_id)], dim=1)

    def sample(self, count: int, generator: torch.Generator) -> Int[Tensor, "count pos"]:
        """`count` inputs of uniform lengths, on the CPU."""
        lengths = torch.randint(self.min_len, self.model.max_len + 1, (count,), generator=generator)
        draw = SAMPLERS[self.sampler]
        return self.frame(draw(len(self.model.vocab), lengths, self.model.max_len, generator), lengths)

    def sample_pairs(self, count: int, generator: torch.Generator) -> Pairs:
        """`count` pairs of any split, on the CPU."""
        from siit.data.pairs import Pairs

        return Pairs(self.sample(count, generator), self.sample(count, generator))

    def pairs(self, split: Split, device: torch.device | str = "cpu", seed: int = 0) -> Sampler:
        """What draws the pairs of a split; `seed` is the same for all splits of one run."""
        from siit.data.pairs import PairSampler

        return PairSampler(self, split, device, seed)

    def permuted_positions(self, pairs: Pairs, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
        """Position ids of sources for exchanges of what depends on positions only; BOS and padding keep theirs."""
        from siit.data.pairs import permuted_positions

        return permuted_positions(pairs.source, len(self.model.vocab), generator)

    def contrasts(self, base: Int[Tensor, "batch pos"], generator: torch.Generator) -> dict[str, Tensor]:
        """Kind -> each base changed in what matters only, where the task has such a natural contrast."""
        return {}

    def probes(self, count: int, generator: torch.Generator) -> dict[str, Probe]:
        """Name -> held-out inputs that are reported beside the certificate."""
        return {}

    def files(self) -> dict[str, bytes]:
        """Further files of the model's folder."""
        return {}

    def note(self) -> dict[str, Any]:
        """What makes this task another than one of the same name: plain values, and hashes of what is long."""
        causal_model = self.model.to_json()
        for variable in causal_model["variables"]:
            del variable["description"]  # its words change no number
        return {
            **{name: getattr(self, name) for name in ("min_len", "causal", "sampler", "balanced", "rearranged")},
            "causal_model": short_hash(causal_model),
        }

    def enumerate(self) -> Int[Tensor, "count pos"]:
        """All inputs, shortest first."""
        rows = []
        for length in range(self.min_len, self.model.max_len + 1):
            words = torch.tensor(list(itertools.product(range(len(self.model.vocab)), repeat=length)))
            padded = torch.nn.functional.pad(words, (0, self.model.max_len - length))
            rows.append(self.frame(padded, torch.full((len(words),), length)))
        return torch.cat(rows)

    @cached_property
    def tolerance(self) -> float | None:
        """Within what a numerical output is right, None where it is categorical; measured on 65,536 inputs."""
        if self.model.classes is not None:
            return None
        run = self.model.run(Inputs(self.sample(1 << 16, torch.Generator().manual_seed(0))))
        smallest = 2 * MAX_TOLERANCE
        for position in range(self.n_ctx):
            values = run.output[:, position][run.scored[:, position]].unique()
            gaps = values.diff()
            gaps = gaps[gaps > 1e-5]  # rounding apart, the same value
            if len(gaps):
                smallest = min(smallest, float(gaps.min()))
        return smallest / 2


def short_hash(data: Any) -> str:
    """16 hexadecimal digits that stand for plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def task_from_case(case: Case, model: CausalModel) -> Task:
    """The task of a catalogue entry and its causal model."""
    return Task(case.name, model, case.min_len, case.causal, case.sampler, case.balanced, case.rearranged, case)
