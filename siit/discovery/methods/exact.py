"""Exact activation and path patching: every edge, or node, is replaced alone, and the metric measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.certificate.executor import Executor
from siit.certificate.fields import Kind
from siit.certificate.single_parts import alone
from siit.discovery.method import Parameters, by_name, check_choice, parts, zeros
from siit.discovery.readout import Metric
from siit.discovery.task import DiscoveryTask, Level, TaskBatch

Direction = Literal["noising", "denoising"]


@dataclass(frozen=True)
class ExactPatching(Parameters):
    """Patching of one part at a time (Vig et al., arXiv 2004.12265; edges: Goldowsky-Dill et al., arXiv 2304.05969).

    A score is the absolute value of the mean over pairs of the change of the metric. Noising replaces a part of the
    clean run, denoising puts a part of the clean run into the corrupted one (Heimersheim, Nanda, arXiv 2404.15255).

    Attributes:
        level: whether edges or nodes are replaced.
        by: what replaces in the clean run: `resample` (the corrupted run), `mean` or `zero`.
        direction: `noising` or `denoising`; the latter is by `resample` alone.
        metric: what is measured: `difference`, whose changes may cancel out over pairs, or `divergence` from the clean
            run, which cannot be negative.

    Raises:
        ValueError: denoising by a mean or zero.
    """

    level: Level = "edge"
    by: Kind = "resample"
    direction: Direction = "noising"
    metric: Metric = "difference"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction == "denoising":
            check_choice("by", self.by, ("resample",))

    @torch.no_grad()
    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge or node, by 3 runs forward for each pair, and one for each part."""
        names = parts(task, self.level)
        total = zeros(task, len(names))
        wanted = {
            level: torch.full((len(parts(task, level)),), level == self.level, device=task.device)
            for level in ("node", "edge")
        }
        for batch in task.batches():
            runs = self._runs(batch)
            found = alone(runs, wanted["node"], wanted["edge"])
            task.passes.forward += len(names) * len(batch)
            unpatched = batch.measured(self.metric, batch.run(embeddings=runs.outputs[:2])).sum()
            total += (found.edges if self.level == "edge" else found.nodes) - unpatched
        return by_name(names, (total / len(task)).abs())

    def _runs(self, batch: TaskBatch) -> _Runs:
        if self.direction == "denoising":
            return _Runs(batch, batch.corrupted, batch.clean, self.metric)
        return _Runs(batch, batch.clean, batch.replacement(self.by), self.metric)


@dataclass(frozen=True, eq=False)
class _Runs:
    """A batch as `siit.certificate.single_parts` takes it.

    Attributes:
        batch: the pairs.
        outputs: what nodes write in the run that is patched.
        replacement: what replaces it.
        metric: what is measured.
    """

    batch: TaskBatch
    outputs: Float[Tensor, "senders batch pos d_model"]
    replacement: Float[Tensor, "senders #batch pos d_model"]
    metric: Metric

    @property
    def executor(self) -> Executor:
        return self.batch.task.executor

    @property
    def scored(self) -> Bool[Tensor, "batch pos"]:
        return self.batch.scored

    def measure(self, final: Float[Tensor, "*runs scored d_model"]) -> Float[Tensor, "*runs"]:
        """Sums the metric over examples."""
        return self.batch.readout.measured(self.metric, self.executor.logits(final)) @ self.batch.weights
