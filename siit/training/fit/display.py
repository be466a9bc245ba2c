"""Says what a run does, as it does it: plain lines, or on a terminal a live line below them."""

from __future__ import annotations

import sys
import time
from typing import IO, Any, cast

import pytorch_lightning as pl
import rich
from pytorch_lightning.callbacks import Callback
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn

from siit._console import Steady, say, steady
from siit._text import duration
from siit.training.fit.module import SIITModule

REFRESH = 0.5
"""Seconds between two changes of the live line; only then is the loss fetched from the device."""


class Display(Callback):
    """Says plain lines: the stages before and after training, and one for every check.

    Args:
        prefix: opens every line, where several runs speak at once.
        quiet: says nothing at all.
    """

    def __init__(self, prefix: str = "", quiet: bool = False) -> None:
        self.prefix, self.quiet = prefix, quiet
        self._began, self._first_step = time.monotonic(), 0

    def say(self, text: str) -> None:
        """Says one line."""
        if not self.quiet:
            say(f"{self.prefix}{text}")

    def show(self, table: RenderableType) -> None:
        """Shows what is more than a line."""
        if not self.quiet:
            with steady():
                rich.print(table)

    def on_train_start(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        self._began, self._first_step = time.monotonic(), trainer.global_step
        begun = f"resumed at step {trainer.global_step:,}" if trainer.global_step else "from step 0"
        self.say(f"training {begun} to {last_step(trainer):,} at most: {phase(pl_module)}")

    def checked(self, trainer: pl.Trainer, pl_module: SIITModule, outcome: str) -> None:
        """Says what a check found.

        Args:
            trainer: knows the step.
            pl_module: knows the loss.
            outcome: in words.
        """
        step = trainer.global_step
        loss = f"; loss {float(pl_module.losses['loss']):.3g}" if "loss" in pl_module.losses else ""
        self.say(f"step {step:,}: {outcome}{loss}{self._pace(step, last_step(trainer))}")

    def _pace(self, step: int, last: int) -> str:
        """Words for the steps per second, checks included, and for what is left if no check ends training before."""
        seconds = time.monotonic() - self._began
        done = step - self._first_step
        if not done or not seconds:
            return ""
        return f"; {done / seconds:.1f} steps/s, at most {duration((last - step) * seconds / done)} more"


class LiveDisplay(Display):
    """Shows phase, step, pace and loss in a live line, below the lines that stay."""

    def __init__(self, prefix: str = "", console: Console | None = None) -> None:
        super().__init__(prefix)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[words]}"),
            console=console or Console(file=cast(IO[str], Steady(sys.stdout)), highlight=False, soft_wrap=True),
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task("", total=None, words="", visible=False)
        self._shown = 0.0

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(f"{self.prefix}{text}", markup=False)

    def show(self, table: RenderableType) -> None:
        """Prints a table above the bar."""
        self._progress.console.print(table)

    def on_train_start(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._progress.update(
            self._task, total=last_step(trainer), completed=trainer.global_step, description="", visible=True
        )
        self._progress.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: SIITModule, *args: Any) -> None:
        now = time.monotonic()
        if now - self._shown < REFRESH:
            return
        self._shown, step = now, trainer.global_step
        words = f"step {step:,}; loss {float(pl_module.losses['loss']):.3g}{self._pace(step, last_step(trainer))}"
        self._progress.update(self._task, completed=step, description=phase(pl_module), words=words)
        self._progress.refresh()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        """Says that a check begins: this callback stands before those that check."""
        self._progress.update(self._task, completed=trainer.global_step, words=f"checking step {trainer.global_step:,}")
        self._progress.refresh()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Takes the bar away."""
        self._progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._progress.stop()


def phase(module: SIITModule) -> str:
    """Names the phase that training is in."""
    return "circuit only" if module.everything_from is None else "everything"


def last_step(trainer: pl.Trainer) -> int:
    """Computes the step at which training ends at the latest."""
    assert trainer.max_epochs is not None
    return trainer.max_epochs * int(trainer.num_training_batches)
