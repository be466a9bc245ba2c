"""Trains one model: from settings, through plan, training and certificate, to a bundle."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from siit._text import duration, one_line
from siit.bundle import TRAINING_FILE, Bundle, BundleError, write_bundle
from siit.certificate import Certificate
from siit.certificate.report import evidence_line, table
from siit.interchange import build_evidence
from siit.tasks import Task
from siit.training.bundling import measured_bundle
from siit.training.configuration.settings import ConfigError, Settings, read_settings
from siit.training.fit.checkpoint_file import IDLE, REVISIONS, STANDS_STILL, read_checkpoint
from siit.training.fit.checkpoints import RunFolder, TrainingError, checkpoint_step, run_record
from siit.training.fit.diagnosis import diagnosis
from siit.training.fit.display import Display
from siit.training.fit.escalation import next_widening
from siit.training.fit.existing import Existing, find_existing, make_room
from siit.training.fit.lock import run_lock
from siit.training.fit.loggers import log_certificate, run_loggers
from siit.training.fit.loop import Fitted, fit, validation_evidence
from siit.training.fit.plan import Plan, find_task, make_plan
from siit.training.fit.rehearsal import check_content, check_place
from siit.training.fit.revisions import Narrowing, Revisions
from siit.training.fit.shortfall import NotCertified, not_certified

BETWEEN_TESTS = 1 << 16
"""Between the seeds of two tests of one run, so that each draws pairs of its own."""


@dataclass(frozen=True)
class Trained:
    """A model in its bundle.

    Attributes:
        path: its folder, `<out>/<case>/seed-<seed>`.
        certified: whether every bar holds.
        failed: the bars that do not.
        record: what training it took, as `training.json` says.
    """

    path: Path
    certified: bool
    failed: tuple[str, ...]
    record: dict[str, Any]


def train(config: DictConfig) -> Path:
    """Trains, certifies and bundles one model.

    Args:
        config: as Hydra composes it.

    Returns:
        The model's folder, `<out>/<case>/seed-<seed>`.

    Raises:
        ConfigError, ProgramError, TrainingError: for what cannot be trained; NotCertified: for a model that fails.
    """
    return train_model(config, Display()).path


def train_model(config: DictConfig, display: Display, command: str | None = None) -> Trained:
    """Trains, certifies and bundles one model, and says what it does.

    Args:
        config: as Hydra composes it.
        display: says it.
        command: with which training was started; by default one that names the case, the seed and where it goes.

    Raises:
        ConfigError, ProgramError, TrainingError: for what cannot be trained; NotCertified: for a model that fails.
    """
    settings = read_settings(config)
    title = f"{settings.case.name}, seed {settings.seed}"
    display.say("building the causal model" if display.prefix else f"{title}: building the causal model")
    task = find_task(settings.case)
    record = _record(config, task)
    folder = RunFolder(Path(settings.out), settings.case.name, settings.seed)
    try:
        if (there := find_existing(settings, record, display.say)) is not None:
            return _already_there(there, display)
        check_place(settings)
        with run_lock(folder.path):
            # Before the lock was held, another process may have ended with this model.
            if (there := find_existing(settings, record, display.say)) is not None:
                return _already_there(there, display)
            return _train(task, settings, record, folder, display, command)
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        # A write that fails names no file.
        where = error.filename or settings.out
        raise TrainingError(
            f"{where}: cannot be read or written ({reason}); what was saved before is whole: mend that, and the same "
            "command goes on from the last check"
        ) from error


def _already_there(there: Existing, display: Display) -> Trained:
    """Reports a model that need not be trained."""
    verdict = "certified" if there.certified else "NOT certified"
    display.say(f"{there.path}: is already there, {verdict}, with this configuration (overwrite=true trains it anew)")
    return Trained(there.path, there.certified, there.failed, _read_record(there.path))


def _record(config: DictConfig, task: Task) -> dict[str, Any]:
    """Makes what is recorded; see `run_record`.

    Raises:
        ConfigError: the causal model has values that no file can hold.
    """
    try:
        return run_record(plain_config(config), task)
    except TypeError as error:
        raise ConfigError(
            f"{task.name}: its causal model has a value that JSON has no word for ({one_line(error)}); accepted are "
            "strings, numbers and booleans of Python's own"
        ) from error


def _train(
    task: Task, settings: Settings, record: dict[str, Any], folder: RunFolder, display: Display, command: str | None
) -> Trained:
    """Trains, certifies and bundles one model, alone in its run's folder."""
    title = f"{settings.case.name}, seed {settings.seed}"
    display.say("checking it against RASP and Tracr, drawing the alignment")
    plan = make_plan(task, settings)
    check_content(plan, settings, record)
    checkpoint = folder.open(record, settings.resume, display.say)
    from_step = checkpoint_step(checkpoint) if checkpoint else 0
    if from_step > settings.trainer.max_steps:
        raise ConfigError(
            f"trainer.max_steps: found {settings.trainer.max_steps}, accepted is {from_step} or more, which are done "
            "already; or start anew with resume=false"
        )
    _describe(plan, settings, folder, display)
    with run_loggers(settings.logger, folder.path, from_step, record) as loggers:
        while True:
            revisions = _revised(plan, settings, checkpoint, display)
            revised = revisions.applied_to(plan)
            fitted = fit(revised, settings, folder, checkpoint, revisions=revisions, loggers=loggers, display=display)
            checkpoint, steps_left = folder.checkpoint, fitted.steps < settings.trainer.max_steps
            stuck = fitted.stands_still
            if steps_left and (fitted.idle or (stuck and next_widening(revised, stuck, fitted.steps, settings.seed))):
                continue
            how = "no step is left"
            if fitted.passed:
                how = "every check passed"
            elif stuck and steps_left:
                how = f"{stuck} stays wrong, and no node is left to give it"
            display.say(f"step {fitted.steps:,}: {how}; measuring the certificate on held-out test pairs")
            # Where training goes on after a failure, no more is measured than shows it.
            goes_on = fitted.passed and steps_left and not settings.allow_uncertified
            tests = len({*folder.failed_tests, fitted.steps})
            bundle, certificate = certify(revised, settings, fitted, record, tests, staged=goes_on)
            display.show(table(certificate, f"{title}: held-out test pairs"))
            display.say(evidence_line(certificate, plan.config.n_ctx))
            accepted = certificate.certified or settings.allow_uncertified
            # Before the logger is told: no fault of its own may cost the model.
            if accepted:
                path = _write(bundle, settings, folder, display)
            else:
                folder.note_failed_test(fitted.steps)
            log_certificate(loggers, certificate, bundle.circuit, title)
            if accepted or not goes_on:
                break
            display.say(f"the test failed: {certificate.failed[0]}")
            display.say("training goes on, and the next test has pairs of its own")
    if not accepted:
        said = diagnosis(fitted.module, validation_evidence(revised, settings))
        raise not_certified(certificate, settings, folder, fitted, said, command)
    folder.close()
    spent = duration(fitted.seconds["wall"])
    verdict = "certified" if certificate.certified else "NOT certified"
    display.say(f"{path}: {verdict}, {fitted.steps:,} steps in {spent}")
    return Trained(path, certificate.certified, certificate.failed, _read_record(path))


def _revised(plan: Plan, settings: Settings, checkpoint: Path | None, display: Display) -> Revisions:
    """Reads what the run of a checkpoint has changed about its labels, and adds what it found has to change."""
    if checkpoint is None:
        return Revisions()
    state = read_checkpoint(checkpoint)
    done, step = Revisions.from_json(state[REVISIONS]), int(state["global_step"])
    if idle := tuple(state[IDLE]):
        display.say(
            f"step {step:,}: these edges carry nothing that others do not, and leave the circuit: {', '.join(idle)}"
        )
        return dataclasses.replace(done, narrowed=(*done.narrowed, Narrowing(idle, step)))
    if state[STANDS_STILL]:
        more = next_widening(done.applied_to(plan), state[STANDS_STILL], step, settings.seed)
        if more is not None:
            display.say(
                f"step {step:,}: {state[STANDS_STILL]} stays wrong; {more.variable} gets {more.node} too, and the "
                "circuit alone learns again"
            )
            return dataclasses.replace(done, widened=(*done.widened, more))
    return done


def _write(bundle: Bundle, settings: Settings, folder: RunFolder, display: Display) -> Path:
    """Writes the bundle; its last checkpoint is kept until it is there, so that the same command can try again."""
    make_room(settings, display.say)
    allowed = settings.allow_uncertified
    try:
        return write_bundle(Path(settings.out), bundle, allow_uncertified=allowed, overwrite=settings.overwrite)
    except BundleError as error:
        raise TrainingError(
            f"{error}; nothing was bundled, and the checkpoint is kept: {folder.checkpoint}; mend that, and the same "
            "command writes the bundle (overwrite=true replaces whatever is there)"
        ) from error


def _describe(plan: Plan, settings: Settings, folder: RunFolder, display: Display) -> None:
    """Says what will be trained, on what, and where it goes."""
    shape, circuit = plan.config, plan.interchanges.labels.circuit
    threads, accelerator = settings.trainer.threads, settings.trainer.accelerator
    on_gpu = accelerator == "gpu" or (accelerator == "auto" and torch.cuda.is_available())
    device = "GPU" if on_gpu else f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    display.say(
        f"model: {shape.n_layers} layers of {shape.n_heads} heads, d_model {shape.d_model}, "
        f"{shape.n_parameters:,} parameters"
    )
    display.say(
        f"circuit: {len(circuit.members)} nodes and {len(circuit.carries)} edges; "
        f"off it: {len(circuit.off_nodes)} nodes and {len(circuit.off_edges)} edges"
    )
    display.say(f"device: {device}; model goes to {settings.out}/{settings.case.name}/seed-{settings.seed}")
    display.say(f"checkpoints and metrics: {folder.path}")


def certify(
    plan: Plan, settings: Settings, fitted: Fitted, config: dict[str, Any], tests: int, *, staged: bool = False
) -> tuple[Bundle, Certificate]:
    """Measures the trained model on held-out test pairs, and puts all of it into a bundle.

    Args:
        plan: what was trained.
        settings: how.
        fitted: what training ended with.
        config: what is recorded in `train.yaml`.
        tests: how many models of this run have met test pairs, this one included; each has pairs of its own.
        staged: whether measuring ends early where a bar fails.
    """
    task = plan.task
    fixed = settings.trainer.evidence_pairs
    size = {} if fixed is None else {"pairs": fixed, "min_scored": 0, "min_changed": 0}
    drawn_from = settings.seed + (tests - 1) * BETWEEN_TESTS
    evidence = build_evidence(
        plan.interchanges, task.pairs("test", seed=settings.seed), drawn_from, answers=task.answers, **size
    )
    evidence |= task.further_evidence(evidence["base_tokens"], settings.seed)
    averaged = fitted.module.averaged
    parameters = {name: tensor.float().cpu().contiguous() for name, tensor in averaged.items()}
    return measured_bundle(
        task,
        plan.interchanges.labels.circuit,
        parameters,
        evidence,
        case=settings.case.name,
        seed=settings.seed,
        train_yaml=OmegaConf.to_yaml(OmegaConf.create(config)),
        classes=task.model.classes,
        extra_files={**task.files(), TRAINING_FILE: training_record(fitted, tests)},
        staged=staged,
    )


def training_record(fitted: Fitted, tests: int) -> bytes:
    """Writes as JSON what training took: steps, seconds (clock, and CPU on all threads), threads, device, tests.

    Where processes with different numbers of threads trained it, all are listed: they round differently.

    Args:
        fitted: what training ended with.
        tests: how many models of this run have met test pairs: more than 1 where it went on after a failure.
    """
    device = fitted.module.device
    record = {
        "steps": fitted.steps,
        "seconds": {name: round(value, 1) for name, value in fitted.seconds.items()},
        "threads": torch.get_num_threads(),
        **({"threads_used": sorted(set(fitted.threads))} if len(set(fitted.threads)) > 1 else {}),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "tests": tests,
        **fitted.module.revisions.to_json(),
    }
    return (json.dumps(record, indent=1) + "\n").encode()


def _read_record(path: Path) -> dict[str, Any]:
    file = path / TRAINING_FILE
    record: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return record


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Resolves the configuration into a plain dictionary."""
    container: Any = OmegaConf.to_container(config, resolve=True)
    return container


__all__ = ["NotCertified", "Trained", "certify", "plain_config", "train", "train_model"]
