"""Integrated gradients of masks: all parts are replaced together, by degrees."""

from __future__ import annotations

from dataclasses import dataclass

from siit.certificate.fields import Kind
from siit.discovery.method import Parameters, by_name, parts, zeros
from siit.discovery.readout import Metric
from siit.discovery.task import DiscoveryTask, Level


@dataclass(frozen=True)
class MaskGradients(Parameters):
    """Integrated gradients (Sundararajan, Taly, Yan, arXiv 1703.01365, section 3) with respect to masks.

    In each run all masks are (k + 1/2) / steps, k = 0 to steps - 1. A score is the absolute value of the mean gradient
    of the metric for a part's mask. With their signs the scores add up to what replacing everything does
    (completeness), up to the error of so many steps.

    Attributes:
        level: whether edges or nodes have masks.
        steps: runs on the way.
        by: what replaces: `resample` (the corrupted run), `mean` or `zero`.
        metric: what is differentiated: `difference`, or `divergence` from the clean run.
    """

    level: Level = "edge"
    steps: int = 5
    by: Kind = "resample"
    metric: Metric = "difference"

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge or node, by 2 + steps runs forward and steps back for each pair."""
        return {name: abs(effect) for name, effect in self.effects(task).items()}

    def effects(self, task: DiscoveryTask) -> dict[str, float]:
        """Gives the same with signs."""
        names = parts(task, self.level)
        total = zeros(task, len(names))
        for batch in task.batches():
            for step in range(self.steps):
                masks = batch.masks(names)
                degree = masks + (step + 0.5) / self.steps
                logits = batch.run(**{f"{self.level}s": degree}, by=self.by)
                total += batch.gradient(batch.measured(self.metric, logits), masks)
        return by_name(names, total / (len(task) * self.steps))
