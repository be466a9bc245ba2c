"""Feeds pairs to Lightning: whole batches, drawn on the device, a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from siit.interchange import Interchanges, Pairs
from siit.tasks import Task, TrainingPairSampler


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


@dataclass(frozen=True, eq=False)
class StepPairs:
    """Draws the pairs of one step.

    Attributes:
        sampler: of the run.
        count: how many pairs are learned from.
        generator: of the draws.
    """

    sampler: TrainingPairSampler
    count: int
    generator: torch.Generator

    def draw_as_data(self) -> Pairs:
        """Draws as many pairs as are learned from, whatever their interchanges."""
        return self.sampler.own.draw(self.count, self.generator)

    def draw(self, choice: Int[Tensor, " batch"], interchanges: Interchanges) -> Pairs:
        """Draws pairs for interchanges that are known.

        Args:
            choice: each pair's interchange.
            interchanges: those of the circuit, which `choice` numbers.
        """
        return self.sampler.draw(choice, interchanges.varied, self.generator)


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
        self._sampler: TrainingPairSampler | None = None

    def train_dataloader(self) -> DataLoader[int]:
        return DataLoader(_Steps(self.steps), batch_size=None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        trainer = self.trainer
        assert trainer is not None
        return self.draw(trainer.global_step, trainer.strategy.root_device)

    def draw(self, step: int, device: torch.device) -> StepPairs:
        """Makes what draws the pairs of one step.

        Args:
            step: training steps before it.
            device: where the pairs live.
        """
        if self._sampler is None:
            self._sampler = self.task.training_pairs(device, self.seed)
        return StepPairs(self._sampler, self.batch_size, step_generator(self.seed, 2 * step, device))
