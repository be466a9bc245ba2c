"""`python -m siit.train`: from a program to a certified model in a bundle.

python -m siit.train case=frac_prevs
python -m siit.train case=reverse model=interpbench seed=2
python -m siit.train -m case=reverse,histogram seed=0,1,2
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import hydra
import rich
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from siit._text import one_line
from siit.bundle import Bundle, BundleError, Vocab, read_bundle, write_bundle
from siit.certificate import Certificate, measure
from siit.certificate.report import evidence_line, table
from siit.interchange import build_evidence
from siit.training.configuration.location import conf_dir
from siit.training.configuration.overrides import check_overrides, open_maps, register_cases
from siit.training.configuration.settings import ConfigError, Settings, read_settings
from siit.training.fit.checkpoints import TASK, RunFolder, differing, run_record
from siit.training.fit.loop import Terminated, TrainingError, fit
from siit.training.fit.module import SIITModule
from siit.training.fit.plan import Plan, find_task, make_plan
from siit.training.rasp.from_rasp import ProgramError

TRAINING_FILE = "training.json"
"""A further file of a model's folder: what training it took."""
NOT_CERTIFIED, BAD_USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class NotCertified(RuntimeError):
    """A trained model that fails its certificate."""


def train(config: DictConfig) -> Path:
    """Trains, certifies and bundles one model.

    Returns:
        The model's folder, `<out>/<case>/seed-<seed>`.

    Raises:
        ConfigError, ProgramError: for what cannot be trained; NotCertified: naming the bars that do not hold.
    """
    settings = read_settings(config)
    task = find_task(settings.case)
    note = run_record(plain_config(config), task)
    root = Path(settings.out)
    done = finished(root, settings, note)
    if done is not None:
        print(f"{done}: is already there, certified, with this configuration (resume=false trains it anew)")
        return done
    folder = RunFolder(root, settings.case.name, settings.seed)
    resume_from = folder.open(note, settings.resume)
    plan = make_plan(task, settings)
    module = fit(plan, settings, folder, resume_from)
    bundle, certificate = certify(plan, settings, module, note)
    rich.print(table(certificate, f"{settings.case.name}, seed {settings.seed}: held-out test pairs"))
    print(evidence_line(certificate))

    if not (certificate.certified or settings.allow_uncertified):
        raise NotCertified(
            f"{settings.case.name}, seed {settings.seed}: not certified after {module.steps_done} steps: "
            f"{'; '.join(certificate.failed[:4])}. Nothing was bundled; the checkpoint is {folder.checkpoint}"
        )
    path = write_bundle(root, bundle, allow_uncertified=settings.allow_uncertified)
    folder.close()
    print(f"{path}: {'certified' if certificate.certified else 'NOT certified'}, {module.steps_done} steps")
    return path


def certify(plan: Plan, settings: Settings, module: SIITModule, config: dict[str, Any]) -> tuple[Bundle, Certificate]:
    """Measures the trained model on held-out test pairs, and puts all of it into a bundle."""
    task, labels = plan.task, plan.interchanges.labels
    evidence = build_evidence(
        plan.interchanges, task.pairs("test", seed=settings.seed), settings.seed, answers=task.answers
    )
    evidence |= task.further_evidence(evidence["base_tokens"], settings.seed)
    parameters = {name: tensor.detach().float().cpu().contiguous() for name, tensor in module.ema.state_dict().items()}
    certificate = measure(
        plan.config,
        parameters,
        labels.circuit,
        evidence,
        answers=task.answers,
    )
    bundle = Bundle(
        config=plan.config,
        case=settings.case.name,
        seed=settings.seed,
        answers=task.answers,
        parameters=parameters,
        vocab=Vocab(
            tokens=(*task.model.vocab, *task.special_tokens),
            bos_id=task.bos_id,
            pad_id=task.pad_id,
            classes=task.model.classes,
        ),
        circuit=labels.circuit,
        causal_model=task.model.to_json(),
        evidence=evidence,
        exhaustive=False,
        certificate=certificate.to_json(),
        train_yaml=OmegaConf.to_yaml(OmegaConf.create(config)),
        extra_files={**task.files(), TRAINING_FILE: training_record(module)},
    )
    return bundle, certificate


def training_record(module: SIITModule) -> bytes:
    """What it took, as JSON: steps, seconds by the clock and of CPU (all threads), threads, device."""
    record = {
        "steps": module.steps_done,
        "seconds": {name: round(value, 1) for name, value in module.clock.read().items()},
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(module.device) if module.device.type == "cuda" else module.device.type,
    }
    return (json.dumps(record, indent=1) + "\n").encode()


def finished(root: Path, settings: Settings, note: dict[str, Any]) -> Path | None:
    """The model's folder, if it is there, whole, certified, and of the configuration that is noted now."""
    path = root / settings.case.name / f"seed-{settings.seed}"
    if not settings.resume or not path.exists():
        return None
    try:
        bundle = read_bundle(path, evidence=False)
    except BundleError as error:
        print(f"{path}: damaged, trained anew ({one_line(error)})", file=sys.stderr)
        return None
    other: Any = OmegaConf.to_container(OmegaConf.create(bundle.train_yaml))
    if not bundle.certificate["certified"]:
        return None
    if differences := differing(note, other):
        print(f"{path}: has another configuration, trained anew ({one_line('; '.join(differences))})", file=sys.stderr)
        return None
    if TASK not in other:
        print(f"{path}: an earlier version did not note its program, which is taken to be the same", file=sys.stderr)
    return path


def plain_config(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as a plain dictionary."""
    container: Any = OmegaConf.to_container(config, resolve=True)
    return container


def _task(config: DictConfig) -> str | None:
    try:
        return str(train(config))
    except (ConfigError, ProgramError, TrainingError, NotCertified) as error:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise  # the other jobs of the sweep go on
        print(f"siit.train: {one_line(error)}", file=sys.stderr)
        sys.exit(NOT_CERTIFIED if isinstance(error, NotCertified) else BAD_USAGE)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


def main() -> None:
    """The command line."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(1)
    register_cases()
    error = check_overrides(sys.argv[1:])
    if error:
        print(f"siit.train: {one_line(error)}", file=sys.stderr)
        sys.exit(BAD_USAGE)
    sys.argv[1:] = open_maps(sys.argv[1:])
    signal.signal(signal.SIGTERM, _terminate)
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(_task)()
    except (KeyboardInterrupt, Terminated) as stop:
        how, status = ("terminated", TERMINATED) if isinstance(stop, Terminated) else ("interrupted", INTERRUPTED)
        print(f"siit.train: {how}; the same command goes on from the last check", file=sys.stderr)
        sys.exit(status)


if __name__ == "__main__":
    main()
