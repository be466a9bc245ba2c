"""Checks that weights are an architecture's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from siit.certificate.schema import Declared
from siit.graph.architecture import ModelConfig


def check_parameters(config: ModelConfig, parameters: Mapping[str, Float[Tensor, "..."]]) -> None:
    """Checks that the weights are the architecture's, finite, of one dtype and on one device.

    Args:
        config: the architecture.
        parameters: by their HookedTransformer names; float32 or float64.

    Raises:
        ValueError: names the tensor, what was found and what is accepted.
    """
    shapes = config.parameter_shapes()
    missing = [name for name in shapes if name not in parameters]
    if missing:
        found = ", ".join(sorted(parameters)[:6]) or "nothing"
        more = ", ..." if len(parameters) > 6 else ""
        raise ValueError(f"parameters: missing {', '.join(missing)}; found {found}{more}")
    for name in parameters:
        if name not in shapes:
            raise ValueError(f"parameters: found {name}, accepted are the names of ModelConfig.parameter_shapes()")
    first = parameters["embed.W_E"]
    for name, shape in shapes.items():
        tensor = parameters[name]
        if tuple(tensor.shape) != shape or tensor.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{name}: found {Declared.of(tensor)}, accepted is float32 or float64 {list(shape)}")
        if (tensor.dtype, tensor.device) != (first.dtype, first.device):
            raise ValueError(
                f"{name}: found {tensor.dtype} on {tensor.device}, accepted is that of embed.W_E, "
                f"{first.dtype} on {first.device}"
            )
        if not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise ValueError(f"{name}: found {bad} values that are NaN or infinite, accepted are finite weights")
