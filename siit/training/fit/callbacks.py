"""Accompanies the steps: averages weights, stops where they are not finite, logs and takes the time."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from siit.training.fit.checkpoints import TrainingError
from siit.training.fit.clock import Clock
from siit.training.fit.module import SIITModule

LOG_EVERY = 50
"""Steps between two rows of losses."""


class NotFinite(TrainingError):
    """Training that has left the finite numbers; the message says when, and which settings to change."""


class Averaging(Callback):
    """Keeps the exponential moving average (EMA) of the weights.

    Args:
        decay: how much of the average is kept at each step, at most: it spans about the last tenth of the steps.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay

    @torch.no_grad()
    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: SIITModule, *args: Any) -> None:
        step = trainer.global_step
        keep = min(self.decay, step / (step + 10))
        own: list[Tensor] = list(pl_module.model.parameters())
        averaged: list[Tensor] = list(pl_module.ema.parameters())
        torch._foreach_lerp_(averaged, own, 1 - keep)


class FiniteWeights(Callback):
    """Ends training where a weight or the loss is no finite number, before that is checked or saved.

    It looks at checks only: a weight that was not finite at any step is not finite in the averaged weights ever after.
    """

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        weights = [*pl_module.ema.parameters(), *pl_module.model.parameters()]
        values = [*weights, *pl_module.losses.values()]
        if not bool(torch.stack([value.detach().isfinite().all() for value in values]).all()):
            since = max(0, trainer.global_step - pl_module.settings.check_every)
            raise NotFinite(
                f"the loss or a weight is NaN or infinite, found at step {trainer.global_step}, not at step {since}; "
                "what was saved before is kept. Train with a lower trainer.learning_rate (found "
                f"{pl_module.settings.learning_rate:g}) or trainer.gradient_clip (found "
                f"{pl_module.settings.gradient_clip:g}), and resume=false, for that is another configuration"
            )


class Stopwatch(Callback):
    """Takes the time of a run, over all its interruptions.

    Args:
        threads: of this process.

    Attributes:
        clock: stands still before and after training.
        started: whether training has begun, with all that a checkpoint held in its place.
        threads: how many each process has trained with, as they followed each other.
    """

    def __init__(self, threads: int) -> None:
        self.clock, self.started, self.threads = Clock(), False, [threads]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = True
        self.clock.start()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.clock.stop()

    def state_dict(self) -> dict[str, Any]:
        return {**self.clock.read(), "threads": self.threads}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.clock.restore(state_dict)
        self.threads = [*map(int, state_dict["threads"]), *self.threads]


class LossLog(Callback):
    """Logs the losses every `LOG_EVERY` steps: the only steps at which it waits for the device."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: SIITModule, *args: Any) -> None:
        if trainer.loggers and trainer.global_step % LOG_EVERY == 0:
            log(trainer, {name: float(loss) for name, loss in pl_module.losses.items()})


def log(trainer: pl.Trainer, metrics: dict[str, float]) -> None:
    """Logs metrics of the current step with every logger."""
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=trainer.global_step)
