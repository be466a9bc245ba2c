"""Asking a model the certificate's questions on the evidence, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from siit.certificate.held_out import HeldOutPairs
from siit.certificate.questions import Patch, Quantity, Question
from siit.certificate.reference import ReferenceModel, ReferenceRun
from siit.certificate.schema import positions_under
from siit.graph.architecture import POS_EMBED

Means = Mapping[str, Float[Tensor, "pos d_model"]]


@dataclass(frozen=True)
class Count:
    """A sum over positions, and over how many.

    Attributes:
        total: hits, or the sum of logit changes.
        positions: those at which they were counted.
    """

    total: float = 0.0
    positions: int = 0

    @property
    def value(self) -> float:
        """The share or mean; 0 where nothing could be counted, so that no bar is met by default."""
        return self.total / self.positions if self.positions else 0.0

    def __add__(self, other: Count) -> Count:
        return Count(self.total + other.total, self.positions + other.positions)


@torch.no_grad()
def source_means(model: ReferenceModel, evidence: HeldOutPairs, batch_size: int) -> Means:
    """Measures the mean of each embedding's, head's and MLP's output at each position over all source rows."""
    sums: dict[str, Tensor] = {}
    for batch in evidence.batches(batch_size, _device(model)):
        for name, output in model.run(batch.source).outputs.items():
            # Added up on the CPU: not every device has double precision.
            sums[name] = sums.get(name, 0) + output.sum(0).cpu().double()
    return {name: (total / evidence.pairs).to(model.parameters["embed.W_E"]) for name, total in sums.items()}


@torch.no_grad()
def ask(
    model: ReferenceModel, evidence: HeldOutPairs, means: Means, questions: Sequence[Question], batch_size: int
) -> dict[str, dict[str, Count]]:
    """Asks a model questions on the evidence: each is one patched run of every pair, on the model's device.

    Args:
        model: by the certificate's executor.
        evidence: pairs with the causal model's answers.
        means: sender -> what replaces it under a `mean` patch, [pos, d_model], see `source_means`.
        questions: patches, and what is counted under each.
        batch_size: pairs that are run together.

    Returns:
        Field -> name -> what was counted over all pairs, for each quantity of the questions. A quantity that two
        questions ask for is added up.
    """
    counts: dict[str, dict[str, Count]] = {}
    causal = model.config.attention_dir == "causal"
    for part in (evidence.shortest_first() if causal else evidence).batches(batch_size, _device(model)):
        batch = Batch(model, part.trimmed() if causal else part, means)
        for question in questions:
            run = batch.run(question.patch)
            for quantity in question.quantities:
                field = counts.setdefault(quantity.field, {})
                field[quantity.name] = field.get(quantity.name, Count()) + batch.count(quantity, run)
    return counts


class Batch:
    """The runs of one batch of pairs."""

    def __init__(self, model: ReferenceModel, evidence: HeldOutPairs, means: Means) -> None:
        self.model = model
        self.evidence = evidence
        self.means = means
        self.clean = model.run(evidence.base)
        self.source = model.run(evidence.source)
        self.answer = evidence.answers.of(self.clean.logits)
        self._permuted: dict[str, ReferenceRun] = {}

    def run(self, patch: Patch) -> ReferenceRun:
        """Runs the base under a patch."""
        values = self.values(patch)
        nodes = {node: values[node] for node in patch.nodes}
        edges = {edge: values[edge.sender] for edge in patch.edges}
        return self.model.patched(self.clean, nodes, edges)

    def count(self, quantity: Quantity, run: ReferenceRun) -> Count:
        """Counts a quantity on a patched run."""
        evidence, answers = self.evidence, self.evidence.answers
        if quantity.by == "right" or quantity.interchange is None:
            scored = evidence.scored(quantity.interchange)
        else:
            scored = evidence.changed(quantity.interchange)
        # Of the other positions no logits are needed.
        logits = run.unembed(run.final[scored])
        if quantity.by == "right":
            hits = answers.same(answers.of(logits), evidence.target(quantity.interchange)[scored])
        elif quantity.by == "moves":
            hits = ~answers.same(answers.of(logits), self.answer[scored])
        else:
            hits = answers.logit_change(logits, self.clean.logits[scored]).nan_to_num(0.0, 0.0, 0.0)
        return Count(float(hits.sum()), len(hits))

    def values(self, patch: Patch) -> Mapping[str, Tensor]:
        """Gives what replaces each sender's output: [batch, pos, d_model], or [pos, d_model] for all pairs."""
        if patch.kind == "zero":
            zero = torch.zeros_like(self.clean.outputs[POS_EMBED][0])
            return dict.fromkeys(self.clean.outputs, zero)
        if patch.kind == "mean":
            return {name: mean[: self.evidence.base.shape[1]] for name, mean in self.means.items()}
        if patch.interchange is not None:
            return self._source_run(positions_under(patch.interchange)).outputs
        positions = self.evidence.tensors.get(positions_under(None))
        moved = self.source.outputs if positions is None else self.model.embed(self.evidence.source, positions)
        return {**self.source.outputs, POS_EMBED: moved[POS_EMBED]}

    def _source_run(self, positions: str) -> ReferenceRun:
        """The source run with the position ids of this name, as it is if there are none."""
        if positions not in self.evidence.tensors:
            return self.source
        if positions not in self._permuted:
            self._permuted[positions] = self.model.run(self.evidence.source, self.evidence.tensors[positions])
        return self._permuted[positions]


def _device(model: ReferenceModel) -> torch.device:
    return model.parameters["embed.W_E"].device
