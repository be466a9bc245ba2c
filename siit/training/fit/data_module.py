"""Feeds pairs to Lightning: whole batches, drawn on the device, a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from siit.interchange import Pairs, PairSampler
from siit.tasks import Task


class _Steps(IterableDataset[int]):
    """Numbers 0 to count - 1; what a step trains on is drawn on the device from the global step."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))

    def __len__(self) -> int:
        return self.count


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """Makes the source of all randomness of one step, so that an interrupted run goes on as it would have.

    Args:
        seed: of the run.
        step: of all of a step's draws, or of one of them.
        device: where it draws.
    """
    # A CPU generator looks at 32 bits of its seed only: the two numbers are mixed into these.
    return torch.Generator(device).manual_seed((seed * 0x9E3779B1 + step) % (1 << 32))


class PairDataModule(pl.LightningDataModule):
    """Training pairs of one task.

    Args:
        task: whose inputs are drawn.
        batch_size: pairs per step.
        steps: steps per epoch, that is, between two checks.
        seed: of the pools and the draws.
    """

    def __init__(self, task: Task, batch_size: int, steps: int, seed: int) -> None:
        super().__init__()
        self.task, self.batch_size, self.steps, self.seed = task, batch_size, steps, seed
        self._sampler: PairSampler | None = None

    def train_dataloader(self) -> DataLoader[int]:
        return DataLoader(_Steps(self.steps), batch_size=None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        trainer = self.trainer
        assert trainer is not None
        return self.draw(trainer.global_step, trainer.strategy.root_device)

    def draw(self, step: int, device: torch.device) -> Pairs:
        """Draws the pairs of one step.

        Args:
            step: training steps before it.
            device: where the pairs live.
        """
        if self._sampler is None:
            self._sampler = self.task.training_pairs(device, self.seed)
        return self._sampler.draw(self.batch_size, step_generator(self.seed, 2 * step, device))
