"""Hard concrete gates (Louizos, Welling, Kingma, arXiv 1712.01312, section 2.2): differentiable, often 0 or 1."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from siit.discovery.method import zeros
from siit.discovery.task import DiscoveryTask

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
"""The paper's beta, gamma and zeta."""
START = math.log((0.9 - LOW) / (HIGH - 0.9))
"""The gates' parameter (log alpha) at which they are 0.9 without noise: most parts are kept to begin with."""


def started(task: DiscoveryTask, count: int) -> Float[Tensor, " parts"]:
    """Makes parameters of gates to begin with, which take gradients.

    Args:
        task: on whose device.
        count: how many.
    """
    return (zeros(task, count) + START).requires_grad_()


def drawn(
    log_alpha: Float[Tensor, " parts"], examples: int, generator: torch.Generator
) -> Float[Tensor, "examples parts"]:
    """Draws gates for each example.

    Args:
        log_alpha: the gates' parameters.
        examples: how many.
        generator: of the draw, on the CPU.
    """
    uniform = torch.rand(examples, len(log_alpha), generator=generator).clamp(1e-6, 1 - 1e-6).to(log_alpha)
    concrete = ((uniform.logit() + log_alpha) / TEMPERATURE).sigmoid()
    return (concrete * (HIGH - LOW) + LOW).clamp(0, 1)


def open_log_probability(log_alpha: Float[Tensor, " parts"]) -> Float[Tensor, " parts"]:
    """Computes the logarithm of the probability that a gate is not 0."""
    return torch.nn.functional.logsigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))
