"""Probing: a linear map reads the variable off what a node writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from siit.causal.mechanisms import undefined
from siit.discovery.method import Parameters, by_name
from siit.localization.task import VariablePairs, VariableTask

_TINY = 1e-12
"""Of a variance: what is less is none."""


@dataclass(frozen=True)
class Probing(Parameters):
    """Linear probes (Alain, Bengio, arXiv 1610.01644), one for each node, the same at all positions.

    A probe reads the variable's value at a position off what the node writes there, on bases, wherever there is a token
    and the value is defined. It is fitted in closed form: classes by linear discriminant analysis (Hastie, Tibshirani,
    Friedman, The Elements of Statistical Learning, section 4.3), numbers by ridge regression. A score is the accuracy
    on the held-out pairs. Of numbers it is R2, the share of the variance that is explained, but at least 0. Variables
    that can only be interchanged together have the mean of their scores.

    Attributes:
        ridge: what is added to the variance in each direction, as a share of the mean variance.
    """

    ridge: float = 1e-4

    @torch.no_grad()
    def __call__(self, task: VariableTask) -> dict[str, float]:
        """Scores every node."""
        scores = [self._score(task, name, classes) for name, classes in task.classes.items()]
        return by_name(task.nodes, torch.stack(scores).mean(0))

    def _score(self, task: VariableTask, name: str, classes: int | None) -> Float[Tensor, " senders"]:
        weight, bias = fitted(list(_rows(task, task.train, name)), classes, self.ridge)
        read = [(rows @ weight + bias, values) for rows, values in _rows(task, task.held_out, name)]
        found, truth = torch.cat([one for one, _ in read], 1), torch.cat([values for _, values in read])
        if classes is not None:
            return (found.argmax(-1) == truth).double().mean(1)
        error = (found.squeeze(-1) - truth).square().mean(1)
        return (1 - error / truth.var(correction=0).clamp(min=_TINY)).clamp(min=0)


def _rows(
    task: VariableTask, pairs: VariablePairs, name: str
) -> Iterator[tuple[Float[Tensor, "senders rows d_model"], Shaped[Tensor, " rows"]]]:
    """Yields what nodes write on bases, and a variable's values, where it is defined at a token."""
    for batch in task.batches(pairs):
        values = batch.pairs.values[name]
        there = batch.pairs.tokens & ~undefined(values)
        found = values[there]
        yield batch.base[:, there].double(), found.double() if found.is_floating_point() else found


def fitted(
    samples: list[tuple[Float[Tensor, "senders _ d_model"], Shaped[Tensor, " _"]]],
    classes: int | None,
    ridge: float,
) -> tuple[Float[Tensor, "senders d_model outputs"], Float[Tensor, "senders 1 outputs"]]:
    """Fits the probes of all nodes by moments alone, in double precision.

    Args:
        samples: what nodes write, and the values.
        classes: how many there are; None: values are numbers.
        ridge: see `Probing`.

    Returns:
        Weights and biases. What they give is a discriminant for each class, or the number.
    """
    targets = [values.unsqueeze(1) if classes is None else F.one_hot(values, classes).double() for _, values in samples]
    rows = sum(len(target) for target in targets)
    mean = torch.stack([x.sum(1) for x, _ in samples]).sum(0) / rows
    inner = torch.stack([x.mT @ x for x, _ in samples]).sum(0) / rows
    cross = torch.stack([x.mT @ y for (x, _), y in zip(samples, targets, strict=True)]).sum(0) / rows
    target = torch.stack([y.sum(0) for y in targets]).sum(0) / rows
    variance = (inner - mean.unsqueeze(2) * mean.unsqueeze(1)).diagonal(dim1=1, dim2=2).mean(1)
    added = (ridge * variance).clamp(min=_TINY).view(-1, 1, 1) * torch.eye(mean.shape[1]).to(mean)
    if classes is None:
        covariance = inner - mean.unsqueeze(2) * mean.unsqueeze(1)
        weight = torch.linalg.solve(covariance + added, cross - mean.unsqueeze(2) * target)
        return weight, target - mean.unsqueeze(1) @ weight
    # Classes that the training pairs lack are never found.
    centres = cross / target.clamp(min=_TINY)
    within = inner - (centres * target) @ centres.mT
    weight = torch.linalg.solve(within + added, centres)
    return weight, (target.log() - (centres * weight).sum(1) / 2).unsqueeze(1)
