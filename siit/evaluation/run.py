"""Runs a method on a task: with draws that repeat, on weights that stay as they are, and by the clock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from siit.evaluation.candidate import Candidate
from siit.transformer import Transformer


def run_method(chosen: Candidate, known: Any, task: Any, model: Transformer, seed: int) -> tuple[Any, float]:
    """Runs a method, or a reference.

    Args:
        chosen: what is run.
        known: what a reference looks at.
        task: what a method looks at.
        model: whose weights must stay as they are.
        seed: of what the method draws with torch.

    Returns:
        What it gave, unchecked, and the seconds that it took.

    Raises:
        ValueError: names the weights that were changed.
    """
    started = time.perf_counter()
    with _unchanged(model.state_dict()), torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        given = chosen.run(known, task)
        if task.device.type == "cuda":
            torch.cuda.synchronize(task.device)
    return given, time.perf_counter() - started


class _unchanged:
    """Checks that a method leaves a model's weights as they are, and puts them back where it does not.

    Raises:
        ValueError: names the weights that were changed.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = weights
        self._before = {name: tensor.clone() for name, tensor in weights.items()}

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        changed = [name for name, tensor in self._weights.items() if not torch.equal(tensor, self._before[name])]
        for name in changed:
            self._weights[name].data.copy_(self._before[name])
        if changed and error is None:
            raise ValueError(f"method: found {changed[0]} changed, accepted is a method that leaves the weights alone")
