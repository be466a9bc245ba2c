"""Fits a transformer to a plan with Lightning's Trainer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from siit.interchange.evidence import build_evidence
from siit.training.configuration.settings import ConfigError, Settings, terms_of
from siit.training.fit.checkpoints import AtomicCheckpointIO, RunFolder
from siit.training.fit.data_module import PairDataModule
from siit.training.fit.module import SIITModule
from siit.training.fit.plan import Plan
from siit.training.objective import Objective
from siit.transformer import Transformer

_KNOWN_WARNINGS = (
    ".*does not have many workers.*",  # one process draws whole batches
    ".*Checkpoint directory .* exists and is not empty.*",  # that is what resuming means
    ".*`IterableDataset` has `__len__` defined.*",  # it has one worker
    ".*LeafSpec.*",  # Lightning's own use of torch
)


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says why and what to do."""


class Terminated(BaseException):
    """SIGTERM, which a cluster sends to end a job. As with KeyboardInterrupt, no handler of errors takes it."""


def fit(
    plan: Plan,
    settings: Settings,
    folder: RunFolder,
    resume_from: Path | None,
    callbacks: Sequence[Callback] = (),
) -> SIITModule:
    """Trains until the validation certificate holds or the steps are used up; returns the module at its end.

    Args:
        folder: where checkpoints and metrics go.
        resume_from: a checkpoint to go on from.
        callbacks: further Lightning callbacks.

    Raises:
        ConfigError: an unknown logger or accelerator; TrainingError: a checkpoint that cannot be read;
        KeyboardInterrupt, Terminated: it was stopped.
    """
    trainer_settings = settings.trainer
    torch.set_num_threads(trainer_settings.threads)
    module = make_module(plan, settings)
    data = PairDataModule(plan.task, trainer_settings.batch_size, trainer_settings.check_every, settings.seed)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for known in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", known)
        trainer = make_trainer(settings, folder.path, callbacks)
        try:
            trainer.fit(module, data, ckpt_path=None if resume_from is None else str(resume_from))
        except (UnpicklingError, EOFError, KeyError, RuntimeError, OSError) as error:
            if resume_from is None or trainer.global_step:
                raise
            raise TrainingError(
                f"{resume_from}: the checkpoint cannot be read ({type(error).__name__}); start anew with resume=false"
            ) from error
        except SystemExit as end:  # Lightning's own answer to both signals, with exit status 1 and 0
            if trainer.received_sigterm:
                raise Terminated from end
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from end
            raise
    return module


def make_module(plan: Plan, settings: Settings) -> SIITModule:
    """The untrained module, with its validation evidence."""
    interchanges, trainer = plan.interchanges, settings.trainer
    sampler = plan.task.pairs("val", seed=settings.seed)
    evidence = build_evidence(
        interchanges,
        sampler,
        settings.seed,
        answers=plan.task.answers,
        pairs=trainer.validation_pairs,
        min_scored=0,
        min_changed=1,
    )
    chosen = settings.objective
    if chosen.next_token and plan.task.model.classes != plan.task.model.vocab:
        raise ConfigError(
            f"objective.next_token: found {chosen.next_token}, accepted is 0 where answers are not tokens, as in "
            f"case={settings.case.name}"
        )
    objective = Objective(
        interchanges,
        terms_of(chosen),
        chosen.source_gradient,
        probe_weight=chosen.probe_weight,
        next_token=chosen.next_token,
    )
    shape = settings.model
    return SIITModule(
        model=Transformer(plan.config, settings.seed, shape.embedding_std, shape.position_std, shape.spread_embeddings),
        objective=objective,
        evidence=evidence,
        answers=plan.task.answers,
        circuit_first=settings.objective.circuit_first,
        keep_probes=settings.objective.keep_probes,
        prioritised=settings.objective.prioritised,
        replay=settings.objective.replay,
        replay_interchanges=settings.objective.replay_interchanges,
        settings=trainer,
        seed=settings.seed,
    )


def make_trainer(settings: Settings, folder: Path, further: Sequence[Callback]) -> pl.Trainer:
    """Lightning's Trainer: one epoch is the steps between two checks; each ends with a checkpoint."""
    trainer = settings.trainer
    callbacks: list[Callback] = [
        ModelCheckpoint(
            dirpath=folder,
            filename="last",
            save_top_k=1,
            monitor=None,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        *further,
    ]
    if trainer.progress_bar:
        callbacks.append(RichProgressBar(refresh_rate=10))
    try:
        return pl.Trainer(
            default_root_dir=folder,
            accelerator=trainer.accelerator,
            devices=1,
            max_epochs=trainer.max_steps // trainer.check_every,
            gradient_clip_val=trainer.gradient_clip,
            logger=make_logger(settings.logger, folder),
            log_every_n_steps=min(50, trainer.check_every),
            callbacks=callbacks,
            # In a job of SLURM, Lightning would otherwise save between two checks and requeue the job by itself.
            plugins=[AtomicCheckpointIO(), LightningEnvironment()],
            enable_progress_bar=trainer.progress_bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise ConfigError(f"trainer.accelerator: found {trainer.accelerator!r}: {error}") from error


def make_logger(config: dict[str, Any], folder: Path) -> Any:
    """The logger that the configuration names, writing into the run's folder; False for none.

    Raises:
        ConfigError: a logger that cannot be made.
    """
    if config.get("_target_") is None:
        return False
    try:
        return hydra.utils.instantiate({**config, "save_dir": str(folder)})
    except Exception as error:  # a logger may fail in any way of its own: no account, no network, a wrong option
        raise ConfigError(f"logger: {type(error).__name__}: {str(error).splitlines()[0]}") from error
