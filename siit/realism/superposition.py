"""Superposition of variables: how far the directions of two variables overlap in the residual stream."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from siit.realism.activations import covariance_overlap

_DIGITS = 5
"""Numbers that agree to so many digits are one value."""


def variable_overlaps(
    stream: Float[Tensor, "places d_model"], values: Mapping[str, Shaped[Tensor, " places"]]
) -> dict[str, float]:
    """Computes the overlap of each two variables' directions, from 0 (orthogonal) to 1 (the same).

    A variable's directions are those in which the means of its values differ: the scatter between classes (Fisher,
    1936). Their overlap is `covariance_overlap`. Variables that depend on each other overlap in any model: Tracr, which
    gives each variable directions of its own, shows by how much. What exceeds that is superposition (Elhage et al.,
    arXiv 2209.10652), or a direction of both, such as the answer's, that outweighs all others.

    Args:
        stream: the residual stream at the places.
        values: variable -> what it is there; negative ids and NaN are undefined, and left out.

    Returns:
        `one & other` -> their overlap; variables that have one value only are left out.
    """
    scatters = {name: between_scatter(stream, own) for name, own in values.items()}
    names = [name for name, scatter in scatters.items() if scatter.norm() > 0]
    if len(names) < 2:
        return {}
    table = covariance_overlap(torch.stack([scatters[name] for name in names]))
    return {
        f"{names[one]} & {names[other]}": float(table[one, other])
        for one, other in itertools.combinations(range(len(names)), 2)
    }


def between_scatter(
    stream: Float[Tensor, "places d_model"], values: Shaped[Tensor, " places"]
) -> Float[Tensor, "d_model d_model"]:
    """Computes the scatter of the means of each value's places about their common mean, weighted by their number.

    Args:
        stream: the residual stream at the places.
        values: of a variable; negative ids and NaN are left out.
    """
    defined = ~values.isnan() if values.is_floating_point() else values >= 0
    stream, values = stream[defined], values[defined]
    if not len(values):
        return stream.new_zeros(stream.shape[1], stream.shape[1])
    found, classes = values.double().mul(10**_DIGITS).round().unique(return_inverse=True)
    counts = classes.bincount(minlength=len(found)).to(stream)
    means = stream.new_zeros(len(found), stream.shape[1]).index_add(0, classes, stream) / counts.unsqueeze(1)
    moved = means - stream.mean(0)
    return (moved * counts.unsqueeze(1)).T @ moved / len(values)
