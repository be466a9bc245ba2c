"""Finds out before the first step whether the model's bundle could be written: what writing refuses, it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from siit.bundle import BundleError, check_bundle, check_root
from siit.interchange import build_evidence
from siit.training.bundling import measured_bundle
from siit.training.configuration.settings import ConfigError, Settings
from siit.training.fit.plan import Plan
from siit.transformer import Transformer
from siit.verification.provenance import provenance

PAIRS = 8
"""Pairs of the evidence that is tried."""


def check_place(settings: Settings) -> None:
    """Checks the case's name, and that its model can be put where it goes.

    Args:
        settings: of the run.

    Raises:
        ConfigError: names the setting.
    """
    root = Path(settings.out)
    try:
        check_root(root, settings.case.name, settings.seed)
    except BundleError as error:
        raise ConfigError(f"case.name: {error}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"out: found {settings.out!r}, where nothing can be written ({reason}: {error.filename or root}); accepted "
            "is a folder that can be written, on a file system with locks (flock)"
        ) from error


def check_content(plan: Plan, settings: Settings, record: dict[str, Any]) -> None:
    """Makes the bundle as it will be, of the untrained model and a few pairs, and checks it as writing does.

    Args:
        plan: what is to be trained.
        settings: of the run.
        record: what will be recorded.

    Raises:
        ConfigError: names the file and the field that the writer would refuse, or the name that a verifier would.
    """
    task, circuit = plan.task, plan.interchanges.labels.circuit
    try:
        evidence = build_evidence(
            plan.interchanges,
            task.pairs("test", seed=settings.seed),
            settings.seed,
            answers=task.answers,
            pairs=PAIRS,
            min_scored=0,
            min_changed=0,
        )
        evidence |= task.further_evidence(evidence["base_tokens"], settings.seed)
        untrained = Transformer(plan.config, settings.seed).state_dict()
        bundle, _ = measured_bundle(
            task,
            circuit,
            {name: tensor.float().contiguous() for name, tensor in untrained.items()},
            evidence,
            case=settings.case.name,
            seed=settings.seed,
            train_yaml=OmegaConf.to_yaml(OmegaConf.create(record)),
            classes=task.model.classes,
            extra_files=task.files(),
            subsets=1,
        )
        check_bundle(bundle)
    except BundleError as error:
        raise ConfigError(f"{settings.case.name}: its model could not be bundled: {error}") from error
    if findings := provenance(bundle).findings:
        raise ConfigError(
            f"case.name: found {bundle.case!r}, under which another program is known ({findings[0]}), so that "
            f"`siit certify` would refuse the model; accepted is a name of its own, such as case.name={bundle.case}-own"
        )
