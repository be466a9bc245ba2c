"""Statistics of what nodes write: how much, how much of it depends on the input, and into which common directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from siit.discovery import DiscoveryTask
from siit.realism.weights import near_zero_share

_CONSTANT = 1e-10
"""A node whose outputs vary by less than this share of the most varying node's writes a constant."""


@dataclass(frozen=True)
class NodeActivations:
    """What is told of a node's outputs.

    Attributes:
        node: its name.
        norm: the root mean square of its outputs' lengths.
        variance: the mean square of their distance from their mean.
        near_zero: share of their numbers that are nearly zero, see `siit.realism.weights.near_zero_share`.
    """

    node: str
    norm: float
    variance: float
    near_zero: float


@torch.no_grad()
def node_outputs(task: DiscoveryTask) -> Float[Tensor, "senders places d_model"]:
    """Collects what embeddings, heads and MLPs write at the scored places of a task's clean inputs.

    Centred where the model has LayerNorm, which no mean of an output passes.

    Args:
        task: a model and its inputs.
    """
    return torch.cat([batch.clean[:, batch.scored] for batch in task.batches()], 1)


def activation_statistics(
    names: Sequence[str], outputs: Float[Tensor, "senders places d_model"]
) -> tuple[NodeActivations, ...]:
    """Measures every node's outputs.

    Args:
        names: of the nodes.
        outputs: see `node_outputs`.
    """
    return tuple(
        NodeActivations(
            node=name,
            norm=float(own.square().sum(-1).mean().sqrt()),
            variance=float(_centred(own).square().sum(-1).mean()),
            near_zero=near_zero_share(own),
        )
        for name, own in zip(names, outputs, strict=True)
    )


def participation(values: Float[Tensor, " parts"]) -> float:
    """Counts how many parts share a sum: (sum v)^2 / sum v^2, from 1 to all of them; 0 where all are zero.

    The participation ratio, Gao et al., "A theory of multineuronal dimensionality", bioRxiv 214262, 2017.

    Args:
        values: not negative.
    """
    squares = float(values.square().sum())
    return float(values.sum().square()) / squares if squares > 0 else 0.0


def cosines(outputs: Float[Tensor, "senders places d_model"]) -> Float[Tensor, "senders senders"]:
    """Computes how alike what two nodes write at one place is: the mean of the cosine's absolute value.

    Args:
        outputs: of each node; its mean over places is taken off first.

    Returns:
        0 to 1; NaN for a node that writes a constant.
    """
    moving = _centred(outputs)
    unit = moving / moving.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(moving.dtype).tiny)
    found = torch.stack([(unit * own).sum(-1).abs().mean(-1) for own in unit])
    return _without_constants(found, outputs)


def overlaps(outputs: Float[Tensor, "senders places d_model"]) -> Float[Tensor, "senders senders"]:
    """Computes how far two nodes write into the same directions, see `covariance_overlap`; NaN for constants.

    Args:
        outputs: of each node.
    """
    moving = _centred(outputs)
    return _without_constants(covariance_overlap(moving.mT @ moving), outputs)


def covariance_overlap(covariances: Float[Tensor, "parts d_model d_model"]) -> Float[Tensor, "parts parts"]:
    """Computes cosines between covariances, tr(A B) / (|A| |B|): 0 where all directions are orthogonal, 1 where A ~ B.

    Directions count by their variance, and none need be chosen. It is the vector correlation of Robert, Escoufier (RV
    coefficient, 1976) between covariances.

    Args:
        covariances: positive semidefinite. One of zeros has a cosine of NaN with all.
    """
    flat = covariances.flatten(1)
    unit = flat / flat.norm(dim=1, keepdim=True)
    return unit @ unit.T


def mean_of_pairs(table: Float[Tensor, "parts parts"]) -> float | None:
    """Averages a symmetric table over all pairs of different parts; None where there is no pair that is a number.

    Args:
        table: NaN is left out.
    """
    pairs = table[*torch.triu_indices(len(table), len(table), offset=1)]
    pairs = pairs[~pairs.isnan()]
    return float(pairs.mean()) if len(pairs) else None


def _centred(outputs: Float[Tensor, "*senders places d_model"]) -> Float[Tensor, "*senders places d_model"]:
    return outputs - outputs.mean(-2, keepdim=True)


def _without_constants(
    table: Float[Tensor, "senders senders"], outputs: Float[Tensor, "senders places d_model"]
) -> Float[Tensor, "senders senders"]:
    variances = _centred(outputs).square().sum((-2, -1))
    constant = variances <= _CONSTANT * variances.max()
    return table.masked_fill(constant | constant.unsqueeze(1), torch.nan)
