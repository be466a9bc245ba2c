"""Makes constant tensors once for each device: a copy to a GPU waits for all that the GPU still has to do."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


@functools.lru_cache(maxsize=4096)
def constant(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Makes a tensor of some values, the first time; nobody may write into it.

    Args:
        values: numbers, or tuples of them.
        dtype: of the tensor.
        device: where it lives.
    """
    # One that is made in inference mode could take part in no gradient ever after.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
