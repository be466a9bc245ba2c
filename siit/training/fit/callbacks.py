"""Accompanies the steps: averages weights, ends the circuit-only phase, checks, stops, logs and takes the time."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from siit.certificate import Certificate
from siit.certificate.certificate import SHARES
from siit.training.fit.checkpoints import TrainingError
from siit.training.fit.clock import Clock
from siit.training.fit.display import Display
from siit.training.fit.module import SIITModule
from siit.training.fit.validation import circuit_alone, validation_certificate

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


class CircuitOnlyPhase(Callback):
    """Ends the circuit-only phase at the first check at which the circuit alone is right often enough.

    Args:
        bar: the share of right answers, in the worst interchange; None: there is no such phase.
        evidence: validation pairs; moved to the module's device in place.
        display: is told of every check.
    """

    def __init__(self, bar: float | None, evidence: dict[str, Tensor], display: Display) -> None:
        self.bar, self.evidence, self.display = bar, evidence, display

    def setup(self, trainer: pl.Trainer, pl_module: SIITModule, stage: str) -> None:
        _move(self.evidence, pl_module.device)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        if pl_module.everything_from is not None:
            return
        assert self.bar is not None
        alone = circuit_alone(pl_module, self.evidence)
        passed = alone >= self.bar
        if passed:
            pl_module.everything_from = trainer.global_step
        _log(trainer, {"val/circuit_alone": alone, "val/circuit_only": float(not passed)})
        self.display.checked(
            trainer,
            pl_module,
            f"circuit only: {alone:.4f} of {self.bar:g}" + (", passed: everything from here on" if passed else ""),
        )


class ValidationCheck(Callback):
    """Measures the validation certificate once the circuit-only phase is over, and ends training where it holds.

    Args:
        evidence: validation pairs; moved to the module's device in place.
        in_a_row: checks in a row at which every bar must hold.
        screen: see `validation.validation_certificate`.
        failed_at: the step at which an earlier model of this run failed its test certificate, which it must train on
            from; its checks in a row are counted anew.
        display: is told of every check.

    Attributes:
        passes: checks in a row at which every bar has held.
    """

    def __init__(
        self, evidence: dict[str, Tensor], in_a_row: int, screen: float, failed_at: int | None, display: Display
    ) -> None:
        self.evidence, self.in_a_row, self.screen, self.display = evidence, in_a_row, screen, display
        self.failed_at = failed_at
        self.passes = 0

    def setup(self, trainer: pl.Trainer, pl_module: SIITModule, stage: str) -> None:
        _move(self.evidence, pl_module.device)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step == self.failed_at:
            self.passes = 0
        # A run that was stopped between its last check and its bundle has nothing left to train.
        trainer.should_stop = self.passes >= self.in_a_row

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        if pl_module.everything_from is None:
            return
        certificate = validation_certificate(pl_module, self.evidence, self.screen)
        self.passes = self.passes + 1 if certificate.certified else 0
        shares = {f"val/{name}": getattr(certificate, name) for name in SHARES}
        measured = {name: value for name, value in shares.items() if value is not None}
        _log(trainer, {"val/circuit_only": 0.0, **measured, "val/passes": float(self.passes)})
        self.display.checked(trainer, pl_module, f"everything: {self._outcome(certificate)}")
        trainer.should_stop = self.passes >= self.in_a_row

    def _outcome(self, certificate: Certificate) -> str:
        if certificate.certified:
            return f"every bar holds, {self.passes} of {self.in_a_row} checks in a row"
        return nearest_to_failing(certificate)

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self.passes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.passes = int(state_dict["passes"])


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
            _log(trainer, {name: float(loss) for name, loss in pl_module.losses.items()})


WORDS = {
    "accuracy": "accuracy",
    "iia": "worst interchange of a variable",
    "edge_iia": "worst interchange of an edge",
    "strict_node": "worst node",
    "strict_edge": "worst edge",
    "strict_joint": "all off-circuit parts at once",
    "strict_subsets": "worst subset",
    "joint_mean": "all off-circuit parts by their mean",
    "joint_zero": "all off-circuit parts by zero",
}
"""What a field of the certificate is called in a line."""


def nearest_to_failing(certificate: Certificate) -> str:
    """Names the bar that a certificate falls furthest below, with how many hold."""
    short = {}
    for field in SHARES:
        value, bar = getattr(certificate, field), certificate.bars[field]
        if value is not None and value < bar:
            short[field] = value - bar
    if not short:
        return certificate.failed[0] if certificate.failed else "not all was measured"
    field = min(short, key=short.__getitem__)
    worst = certificate.worst(field)
    where = f" ({worst[0]})" if worst and worst[0] != "all" else ""
    others = f", and {len(short) - 1} more below their bar" if len(short) > 1 else ""
    return f"{WORDS[field]} {getattr(certificate, field):.4f} of {certificate.bars[field]:g}{where}{others}"


def _move(evidence: dict[str, Tensor], device: torch.device) -> None:
    evidence |= {name: tensor.to(device) for name, tensor in evidence.items()}


def _log(trainer: pl.Trainer, metrics: dict[str, float]) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(metrics, step=trainer.global_step)
