"""Measures how faithful the circuits of a method's first edges, or nodes, are: all others are replaced.

The shares of parts and the areas are those of MIB (arXiv 2504.13151, section 3). Its truth is the data set's answer;
ours is the causal model's. Many circuits share a run, each example having the masks of one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from siit.certificate.fields import Kind
from siit.discovery import DiscoveryTask, TaskBatch
from siit.discovery.task import Level
from siit.evaluation.result import CurvePoint, Faithfulness

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Of all parts; MIB's."""
_TOGETHER = 64
"""Circuits that are run at once, at most."""


def faithfulness(
    task: DiscoveryTask,
    scores: Mapping[str, float],
    level: Level,
    true_size: int,
    tolerance: float | None,
    *,
    ablation: Kind = "resample",
    seed: int = 0,
) -> Faithfulness | None:
    """Measures the curve, and the areas under it and between it and 1.

    Args:
        task: pairs that the method has not seen.
        scores: of every edge, or node; equal ones are in random order.
        level: which of them.
        true_size: how many the true circuit has.
        tolerance: how far a number may be off; None where answers are classes.
        ablation: what replaces the other parts.
        seed: of the order of equal scores.

    Returns:
        None where the metric is no better for the whole model than with every part replaced.
    """
    names = task.edges if level == "edge" else task.nodes
    sizes = [int(share * len(names)) for share in SHARES]
    measured = _measure(
        task, _order(names, scores, seed), [0, len(names), true_size, *sizes], level, ablation, tolerance
    )
    (empty, _), (whole, _) = measured[:2]
    if not whole > empty:
        return None

    def point(share: float, size: int, found: tuple[float, float]) -> CurvePoint:
        value, accuracy = found
        return CurvePoint(share, size, (value - empty) / (whole - empty), accuracy)

    curve = tuple(map(point, SHARES, sizes, measured[3:]))
    values = [each.faithfulness for each in curve]
    return Faithfulness(
        metric="difference" if task.output == "categorical" else "error",
        pairs=len(task),
        cpr=area(SHARES, values),
        cmd=area(SHARES, [abs(1 - value) for value in values]),
        curve=curve,
        at_size=point(true_size / len(names), true_size, measured[2]),
        whole=whole,
        empty=empty,
    )


def area(places: Sequence[float], values: Sequence[float]) -> float:
    """Adds up the trapezoids under a curve."""
    points = zip(places, values, strict=True)
    return sum((right - left) * (low + high) / 2 for (left, low), (right, high) in itertools.pairwise(points))


def _order(names: Sequence[str], scores: Mapping[str, float], seed: int) -> Int[np.ndarray, " parts"]:
    """Ranks parts from 0, the highest score first."""
    draw = np.random.default_rng(seed).random(len(names))
    order = np.lexsort((draw, np.array([-scores[name] for name in names])))
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return place


@torch.no_grad()
def _measure(
    task: DiscoveryTask,
    place: Int[np.ndarray, " parts"],
    sizes: Sequence[int],
    level: Level,
    ablation: Kind,
    tolerance: float | None,
) -> list[tuple[float, float]]:
    """Measures the metric and the accuracy of each circuit of so many first parts."""
    size_of = torch.tensor(sizes)
    masks = (torch.as_tensor(place) >= size_of.unsqueeze(1)).to(task.device, task.model.embed.W_E.dtype)
    total = torch.zeros(2, len(sizes), dtype=torch.float64)
    for some in torch.arange(len(sizes)).split(_TOGETHER):
        for batch in task.batches(max(1, task.batch_size // len(some))):
            many = batch.repeated(len(some))
            rows = masks[some.to(task.device)].repeat_interleave(len(batch), 0)
            logits = many.run(
                edges=rows if level == "edge" else None, nodes=rows if level == "node" else None, by=ablation
            )
            quality = _Quality(many, tolerance)
            found = torch.stack([quality.metric(logits), quality.accuracy(logits)])
            total[:, some] += found.unflatten(1, (len(some), len(batch))).sum(2).cpu().double()
    return [(float(value), float(accuracy)) for value, accuracy in (total / len(task)).T]


@dataclass(frozen=True, eq=False)
class _Quality:
    """Measures answers against the causal model's.

    Attributes:
        batch: whose answers.
        tolerance: how far a number may be off.
    """

    batch: TaskBatch
    tolerance: float | None

    def metric(self, logits: Float[Tensor, "scored d_vocab_out"]) -> Float[Tensor, " batch"]:
        if self.batch.task.output == "categorical":
            return self.batch.difference(logits)
        return self.batch.per_example(-self._distance(logits))

    def accuracy(self, logits: Float[Tensor, "scored d_vocab_out"]) -> Float[Tensor, " batch"]:
        if self.tolerance is None:
            right = logits.argmax(-1) == self.batch.readout.target
        else:
            right = self._distance(logits) <= self.tolerance
        # A mean of ones may come out above 1 by rounding.
        return self.batch.per_example(right.to(logits)).clamp(max=1)

    def _distance(self, logits: Float[Tensor, "scored 1"]) -> Float[Tensor, " scored"]:
        return (logits[:, 0] - self.batch.readout.target).abs()
