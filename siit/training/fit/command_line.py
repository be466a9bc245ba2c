"""Runs `python -m siit.train`: Hydra's application, one run or a sweep, and their exit status."""

from __future__ import annotations

import dataclasses
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import hydra
import rich
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig

from siit._console import say
from siit._text import printable
from siit.suite.outcomes import ALLOWED, CERTIFIED, ELSEWHERE, FAILED, NOT_CERTIFIED, Outcome, exit_status, outcomes
from siit.tasks import TooFewInputsError
from siit.training.configuration.groups import register_groups
from siit.training.configuration.help import register_help
from siit.training.configuration.location import conf_dir
from siit.training.configuration.overrides import check_overrides, open_maps
from siit.training.configuration.settings import ConfigError
from siit.training.fit.checkpoints import TrainingError
from siit.training.fit.display import Display, LiveDisplay
from siit.training.fit.lock import Locked
from siit.training.fit.loop import Terminated
from siit.training.fit.pipeline import train_model
from siit.training.fit.shortfall import COMMAND, NotCertified
from siit.training.fit.sweep import SweepFolder, sweep_table
from siit.training.rasp.from_rasp import ProgramError
from siit.training.suite.log import job_log
from siit.training.suite.watch import end_watch, is_watched

UNCERTIFIED, BAD_USAGE, FAULT, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143
"""Exit statuses; 0: the model is certified; FAULT: a fault of our own, or of a library, which says nothing of it."""
_USAGE = (ConfigError, ProgramError, TrainingError, TooFewInputsError, OSError)
"""What the user can mend: arguments, a program, a place."""
_BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def run() -> None:
    """Trains what the command line names, and exits with the status that says how it went."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(1)
    register_groups()
    register_help()
    error = check_overrides(sys.argv[1:])
    if error:
        _complain(error)
        sys.exit(BAD_USAGE)
    sys.argv[1:] = open_maps(sys.argv[1:])
    if (error := _no_place(sys.argv[1:])) is not None:
        _complain(error)
        sys.exit(BAD_USAGE)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_job)()
    except (KeyboardInterrupt, Terminated) as stop:
        for number in (signal.SIGINT, signal.SIGTERM):  # the end that has begun is not broken off
            signal.signal(number, signal.SIG_IGN)
        _summary()
        how, status = ("terminated", TERMINATED) if isinstance(stop, Terminated) else ("interrupted", INTERRUPTED)
        say(f"siit.train: {how}; the same command goes on from the last check", error=True)
        sys.exit(status)
    except SystemExit as end:
        if not end.code or SweepFolder.current is None:
            raise
        _summary()  # a launcher failed, and Hydra has said how
        sys.exit(BAD_USAGE)
    sys.exit(_summary())


def _no_place(arguments: Sequence[str]) -> str | None:
    """Says why a sweep cannot write where `out` says, which Hydra would find out with a traceback; None if it can."""
    given = [argument for argument in arguments if argument.startswith("out=")]
    if not given or not {"-m", "--multirun"} & set(arguments) or "$" in given[-1]:
        return None
    try:
        Path(str(OverridesParser.create().parse_override(given[-1]).value())).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"out: {_in_words(error)}"
    return None


def _summary() -> int:
    """Prints the table of a sweep, if this was one; returns its exit status."""
    end_watch()
    if SweepFolder.current is None:
        return 0
    found = outcomes(SweepFolder.current)
    rich.print(sweep_table(found))
    return exit_status(found)


def _job(config: DictConfig) -> str | None:
    """Trains one model, as Hydra calls it: alone, or as a job of a sweep, in this process or another."""
    started = HydraConfig.get()
    if started.mode == RunMode.MULTIRUN:
        return _sweep_job(config)
    command = shlex.join([*COMMAND.split(), *started.overrides.task])
    try:
        return str(train_model(config, _display(config, ""), command).path)
    except NotCertified as error:
        _complain(error)
        sys.exit(UNCERTIFIED)
    except _USAGE as error:
        _complain(_in_words(error))
        sys.exit(BAD_USAGE)
    except Exception:  # shown in full; Hydra would end it with the status of a model that is not certified
        traceback.print_exc()
        sys.exit(FAULT)


def _sweep_job(config: DictConfig) -> str | None:
    """Trains one of several models; whatever becomes of it is recorded, and never stops the others."""
    started = HydraConfig.get()
    overrides = [str(text) for text in started.overrides.task]
    further = tuple(text for text in overrides if text.partition("=")[0] not in ("case", "seed"))
    folder, number = Path(started.sweep.dir), int(started.job.num)
    job = Outcome(number, str(config.case.name), config.seed, further, began=time.time())
    job.write(folder)
    if config.trainer.get("devices") == 1 and torch.cuda.device_count() > 1:
        config.trainer.devices = [number % torch.cuda.device_count()]
    with job_log(folder, number) if is_watched() else nullcontext():
        ended = _train_one(config, f"{job.case}, seed {job.seed}: ", shlex.join([*COMMAND.split(), *overrides]))
    job = dataclasses.replace(job, **ended, took=round(time.time() - job.began, 1))
    job.write(folder)
    return job.verdict


def _train_one(config: DictConfig, prefix: str, command: str) -> dict[str, Any]:
    """Trains a model of a sweep, and tells what its outcome says of it."""
    try:
        trained = train_model(config, _display(config, prefix), command)
    except NotCertified as error:
        _complain(error)
        why = {"verdict": NOT_CERTIFIED, "why": error.failed[0], "failed": error.failed}
        return {**why, "diagnosis": error.diagnosis, **_spent({"steps": error.steps, "seconds": error.seconds})}
    except _USAGE as error:
        _complain(f"{prefix}{_in_words(error)}")
        return {"verdict": ELSEWHERE if isinstance(error, Locked) else FAILED, "why": _in_words(error)}
    except Exception as error:  # a fault of our own: shown in full, and the other jobs go on
        traceback.print_exc()
        return {"verdict": FAILED, "why": f"{type(error).__name__}: {error}"}
    why = {"verdict": CERTIFIED} if trained.certified else {"verdict": ALLOWED, "why": trained.failed[0]}
    return {**why, **_spent(trained.record)}


def _spent(record: Mapping[str, Any]) -> dict[str, Any]:
    """Picks from what `training.json` says that which an outcome says."""
    seconds = {name: round(value, 1) for name, value in record.get("seconds", {}).items()}
    return {"steps": record.get("steps"), "seconds": seconds.get("wall"), "cpu_seconds": seconds.get("cpu")}


def _in_words(error: Exception) -> str:
    """Words for an error that the user can mend."""
    if not isinstance(error, OSError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}found {error.strerror or error}, accepted is a place that can be read and written"


def _display(config: DictConfig, prefix: str) -> Display:
    """A live line where a terminal can show it, which is one run at a time; else plain lines."""
    alone = not prefix or HydraConfig.get().launcher.get("_target_") == _BASIC_LAUNCHER
    live = sys.stdout.isatty() and alone and bool(config.trainer.get("progress_bar", True))
    return LiveDisplay(prefix) if live else Display(prefix)


def _complain(message: object) -> None:
    """Prints an error, each of its lines safe to print."""
    say("\n".join(printable(line) for line in f"siit.train: {message}".splitlines()), error=True)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated
