"""Defines a task: an input space with its pairs, contrasts and all else that training and certifying ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal import Inputs
from siit.certificate import Answers
from siit.certificate.schema import FIELDS, of_contrast, of_probe
from siit.interchange.evidence import answer_tensors
from siit.interchange.pairs import Pairs, PairSampler, permuted_positions
from siit.tasks.fingerprint import causal_fingerprint
from siit.tasks.inputs import InputSpace
from siit.tasks.pairs import ProgramPairSampler, Split
from siit.tasks.training_pairs import TrainingPairSampler

MAX_TOLERANCE = 0.05
"""Numerical outputs are right within this, or half the smallest gap between two outputs of a position."""


@dataclass(frozen=True, eq=False)
class ReportedInputs:
    """Inputs that are not drawn as the pairs are, on which a model is measured and reported, not gated.

    Attributes:
        tokens: the inputs.
        target: the right answers.
        scored: at which positions they count.
    """

    tokens: Int[Tensor, "batch pos"]
    target: Int[Tensor, "batch pos"]
    scored: Bool[Tensor, "batch pos"]


@dataclass(frozen=True, eq=False)
class Task(InputSpace):
    """A causal model with the pairs that it is trained and certified on."""

    @property
    def special_tokens(self) -> tuple[str, str]:
        """Names BOS and PAD."""
        return "BOS", "PAD"

    @property
    def d_vocab_out(self) -> int:
        """How many classes an answer has; 1 where it is a number."""
        return 1 if self.model.classes is None else len(self.model.classes)

    @cached_property
    def answers(self) -> Answers:
        """How the model's outputs are read, and when they are right."""
        return Answers(self.model.answer.kind, self._tolerance())

    @property
    def all_interchangeable(self) -> bool:
        """Whether every pair can take part in an interchange."""
        return True

    def plain(self) -> Task | None:
        """Makes the same task with uniform tokens, where its own are drawn otherwise; None where they are not."""
        if self.sampler == "uniform" and not self.balanced and not self.rearranged:
            return None
        return Task(self.name, self.model, self.min_len, self.causal)

    def sample_pairs(self, count: int, generator: torch.Generator) -> Pairs:
        """Draws pairs of any split, on the CPU.

        Args:
            count: how many.
            generator: of the draw.
        """
        return Pairs(self.sample(count, generator), self.sample(count, generator))

    def pairs(self, split: Split, device: torch.device | str = "cpu", seed: int = 0) -> PairSampler:
        """Makes what draws the pairs of a split.

        Args:
            split: train, val or test; or all of the space.
            device: where pairs are drawn and live.
            seed: the same for all splits of one run.
        """
        return ProgramPairSampler(self, split, device, seed)

    def training_pairs(self, device: torch.device | str = "cpu", seed: int = 0) -> TrainingPairSampler:
        """Makes what draws the pairs to train on.

        Args:
            device: where pairs are drawn and live.
            seed: the same for all splits of one run.
        """
        rare = ProgramPairSampler(self, "train", device, seed, by_value=True)
        return TrainingPairSampler(self.pairs("train", device, seed), rare)

    def permuted_positions(self, pairs: Pairs, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
        """Draws position ids of sources, for interchanges of what depends on positions only; BOS and PAD keep theirs.

        Args:
            pairs: whose sources they are.
            generator: of the draw.
        """
        return permuted_positions(pairs.source, len(self.model.vocab), generator)

    def contrasts(self, base: Int[Tensor, "batch pos"], generator: torch.Generator) -> dict[str, Tensor]:
        """Changes each base in what matters only, where the task has such a natural contrast.

        Args:
            base: the inputs.
            generator: of what is drawn.

        Returns:
            Name of the contrast -> the changed inputs, as many as bases.
        """
        return {}

    def reported_inputs(self, count: int, generator: torch.Generator) -> dict[str, ReportedInputs]:
        """Draws held-out inputs, by name, that are reported beside the certificate.

        Args:
            count: how many of each.
            generator: of the draw.
        """
        return {}

    def further_evidence(self, base: Int[Tensor, "pairs pos"], seed: int) -> dict[str, Tensor]:
        """Makes the `contrast/<name>/...` and `probe/<name>/...` tensors of evidence, with as many rows as bases.

        Args:
            base: the evidence's bases.
            seed: of what is drawn.
        """
        generator = torch.Generator(base.device).manual_seed((1 << 31) + seed)
        found: dict[str, Tensor] = {}
        for kind, tokens in self.contrasts(base, generator).items():
            run = self.model.run(Inputs(tokens))
            found |= {of_contrast(kind, "tokens"): tokens, **answer_tensors(of_contrast(kind), run)}
        for name, inputs in self.reported_inputs(len(base), generator).items():
            found |= {of_probe(name, field): getattr(inputs, field) for field in FIELDS}
        return found

    def files(self) -> dict[str, bytes]:
        """Makes further files of the model's folder, by name."""
        return {}

    def fingerprint(self) -> dict[str, Any]:
        """Tells this task from another of the same name: plain values, and digests of what is long."""
        return {
            **{name: getattr(self, name) for name in ("min_len", "causal", "sampler", "balanced", "rearranged")},
            "causal_model": causal_fingerprint(self.model.to_json()),
        }

    def _tolerance(self) -> float | None:
        """Measures within what a numerical output is right, on 65,536 inputs; None where it is categorical."""
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
