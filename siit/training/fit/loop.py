"""Fits a transformer to a plan with Lightning's Trainer."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor

from siit._text import one_line
from siit.interchange.evidence import build_evidence
from siit.training.configuration.settings import ConfigError, Settings, terms_of
from siit.training.fit.callbacks import Averaging, FiniteWeights, LossLog, Stopwatch
from siit.training.fit.checkpoint_file import AtomicCheckpointIO
from siit.training.fit.checkpoints import RunFolder, TrainingError
from siit.training.fit.checks import CircuitOnlyPhase, ValidationCheck
from siit.training.fit.data_module import PairDataModule
from siit.training.fit.display import Display
from siit.training.fit.escalation import next_widening
from siit.training.fit.module import SIITModule
from siit.training.fit.narrowing import next_narrowing
from siit.training.fit.plan import Plan
from siit.training.fit.revisions import Revisions
from siit.training.objective import Objective
from siit.transformer import Transformer

_KNOWN_WARNINGS = (
    ".*does not have many workers.*",  # one process draws whole batches
    ".*Checkpoint directory .* exists and is not empty.*",  # that is what resuming means
    ".*The dirpath has changed from.*",  # a folder of runs was moved, to another machine for example
    ".*`IterableDataset` has `__len__` defined.*",  # it has one worker
    ".*LeafSpec.*",  # Lightning's own use of torch
    ".*`srun` command is available.*",  # a run is one process, in a job of SLURM too
)


class Terminated(BaseException):
    """SIGTERM, which a cluster sends to end a job. As with KeyboardInterrupt, no handler of errors takes it."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What training ended with.

    Attributes:
        module: at its end; its `ema` is the model.
        steps: trained in all, those before a resumption included.
        seconds: `wall` and `cpu`, over all interruptions.
        passed: whether it ended because its checks passed, rather than for want of steps.
        stands_still: the interchange that stays wrong, where it ended because it stands still.
        idle: the edges that carry nothing, where it ended since these leave the circuit.
        threads: CPU threads of each process that trained it, as they followed each other.
    """

    module: SIITModule
    steps: int
    seconds: dict[str, float]
    passed: bool
    stands_still: str | None
    idle: tuple[str, ...]
    threads: tuple[int, ...]


def fit(
    plan: Plan,
    settings: Settings,
    folder: RunFolder,
    resume_from: Path | None = None,
    *,
    revisions: Revisions | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    display: Display | None = None,
) -> Fitted:
    """Trains until the validation certificate holds or the steps are used up.

    Args:
        plan: what is trained.
        settings: how.
        folder: where checkpoints go.
        resume_from: a checkpoint to go on from.
        revisions: what the run has changed about its labels so far, as the plan has it. The checkpoint may be from just
            before the last change.
        callbacks: further Lightning callbacks.
        loggers: where metrics go.
        display: says what is done; None: nothing does.

    Raises:
        ConfigError: an unknown accelerator; TrainingError: a checkpoint that does not fit, or weights that
        are not finite; KeyboardInterrupt, Terminated: it was stopped.
    """
    chosen, display = settings.trainer, display or Display(quiet=True)
    torch.set_num_threads(chosen.threads)
    display.say("drawing validation pairs")
    evidence = validation_evidence(plan, settings)
    module = make_module(plan, settings, revisions)
    data = PairDataModule(plan.task, chosen.batch_size, chosen.check_every, settings.seed)
    # With `allow_uncertified` a model that passed its checks is bundled as it is, whatever the test says.
    failed_at = None if settings.allow_uncertified else folder.failed_at

    def can_widen(interchange: str) -> bool:
        return next_widening(plan, interchange, 0, settings.seed) is not None

    narrowing = functools.partial(next_narrowing, plan, module)
    check = ValidationCheck(evidence, failed_at, display, can_widen, narrowing)
    stopwatch = Stopwatch(chosen.threads)
    own = [
        display,
        stopwatch,
        Averaging(chosen.ema_decay),
        LossLog(),
        FiniteWeights(),
        CircuitOnlyPhase(settings.objective.circuit_first, evidence, display, can_widen),
        check,
    ]
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for known in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", known)
        trainer = make_trainer(settings, folder.path, [*own, *callbacks], loggers, folder.record)
        try:
            trainer.fit(module, data, ckpt_path=None if resume_from is None else str(resume_from))
        except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            if resume_from is None or stopwatch.started or isinstance(error, ConfigError):
                raise
            raise TrainingError(
                f"{resume_from}: the checkpoint does not fit this model ({one_line(error)[:200]}); start anew with "
                "resume=false"
            ) from error
        except SystemExit as end:  # Lightning's own answer to both signals, with exit status 1 and 0
            if trainer.received_sigterm:
                raise Terminated from end
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from end
            raise
    seconds, threads = stopwatch.clock.read(), tuple(stopwatch.threads)
    return Fitted(module, trainer.global_step, seconds, check.passed, module.stands_still, module.idle, threads)


def validation_evidence(plan: Plan, settings: Settings) -> dict[str, Tensor]:
    """Draws two sets of validation pairs, with the causal model's answers under every interchange."""
    return build_evidence(
        plan.interchanges,
        plan.task.pairs("val", seed=settings.seed),
        settings.seed,
        answers=plan.task.answers,
        pairs=2 * settings.trainer.validation_pairs,
        min_scored=0,
        min_changed=1,
    )


def make_module(plan: Plan, settings: Settings, revisions: Revisions | None = None) -> SIITModule:
    """Makes the untrained module.

    Args:
        plan: the architecture, the interchanges and the task.
        settings: of the objective, the model's initial weights, the optimizer, and the seed of all draws.
        revisions: what the run has changed about its labels so far, as the plan has it; None: nothing.

    Returns:
        The module, on the CPU; its weights are the same for the same plan, settings and seed.

    Raises:
        ConfigError: an objective that the task cannot have.
    """
    chosen, shape = settings.objective, settings.model
    if chosen.next_token and plan.task.model.classes != plan.task.model.vocab:
        raise ConfigError(
            f"objective.next_token: found {chosen.next_token}, accepted is 0 where answers are not tokens, as in "
            f"case={settings.case.name}"
        )
    objective = Objective(
        plan.interchanges,
        terms_of(chosen),
        chosen.source_gradient,
        probe_weight=chosen.probe_weight,
        attention_weight=chosen.attention_weight,
        leakage_weight=chosen.leakage_weight,
        next_token=chosen.next_token,
        tolerance=plan.task.answers.tolerance,
    )
    model = Transformer(plan.config, settings.seed, shape.embedding_std, shape.position_std, shape.spread_embeddings)
    return SIITModule(model, objective, plan.task.answers, chosen, settings.trainer, settings.seed, revisions)


def make_trainer(
    settings: Settings,
    folder: Path,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger] = (),
    record: Mapping[str, Any] | None = None,
) -> pl.Trainer:
    """Makes Lightning's Trainer: one epoch is the steps between two checks; each ends with a checkpoint.

    Args:
        settings: steps at most, accelerator, device, precision, clipping.
        folder: where checkpoints go.
        callbacks: beside the one that writes checkpoints, which Lightning moves behind them.
        loggers: where metrics go.
        record: what the run is configured with, which its checkpoints hold.

    Raises:
        ConfigError: an accelerator or a device that is not there.
    """
    trainer = settings.trainer
    checkpoint = ModelCheckpoint(
        dirpath=folder,
        filename="last",
        save_top_k=1,
        monitor=None,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    try:
        return pl.Trainer(
            default_root_dir=folder,
            accelerator=trainer.accelerator,
            devices=trainer.devices,
            precision=trainer.precision,
            max_epochs=trainer.max_steps // trainer.check_every,
            gradient_clip_val=trainer.gradient_clip,
            logger=list(loggers) or False,
            log_every_n_steps=trainer.check_every,
            callbacks=[*callbacks, checkpoint],
            # In a job of SLURM, Lightning would otherwise save between two checks and requeue the job by itself.
            plugins=[AtomicCheckpointIO(record or {}), LightningEnvironment()],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        found = f"trainer.accelerator, trainer.devices: found {trainer.accelerator!r}, {trainer.devices!r}"
        raise ConfigError(f"{found}: {error}") from error
