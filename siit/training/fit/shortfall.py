"""Says why a trained model is not certified, and with which command its training goes on."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from siit.certificate import Certificate
from siit.training.configuration.settings import Settings
from siit.training.fit.checkpoints import RunFolder
from siit.training.fit.loop import Fitted

COMMAND = "python -m siit.train"


class NotCertified(RuntimeError):
    """A trained model that fails its certificate.

    Args:
        message: which bars fall short, by how much, and what to try next.
        failed: the bars.
        diagnosis: lines on what is wrong.
        steps: trained in all.
        seconds: trained in all: `wall`, by the clock, and `cpu`, of all threads.
    """

    def __init__(
        self, message: str, failed: Sequence[str], diagnosis: Sequence[str], steps: int, seconds: Mapping[str, float]
    ) -> None:
        super().__init__(message)
        self.failed, self.diagnosis, self.steps, self.seconds = tuple(failed), tuple(diagnosis), steps, dict(seconds)

    def __reduce__(self) -> tuple[type[NotCertified], tuple[Any, ...]]:
        return NotCertified, (str(self), self.failed, self.diagnosis, self.steps, self.seconds)


def not_certified(
    certificate: Certificate,
    settings: Settings,
    folder: RunFolder,
    fitted: Fitted,
    diagnosis: Iterable[str],
    command: str | None,
) -> NotCertified:
    """Makes the error: which bars fall short and by how much, what is kept, and how training goes on.

    Args:
        certificate: of the test pairs.
        settings: of the run.
        folder: where its checkpoint is.
        fitted: what training ended with.
        diagnosis: lines on what is wrong.
        command: with which it was started; None: by a program.
    """
    failed, diagnosis = certificate.failed, tuple(diagnosis)
    if command is None:
        command = shlex.join(
            [*COMMAND.split(), f"case={settings.case.name}", f"seed={settings.seed}", f"out={settings.out}"]
        )
    if fitted.steps < settings.trainer.max_steps:
        advice = "Training stood still; the same command trains on all the same"
    else:
        advice = "All steps are used up; with more of them it trains on"
        command = with_steps(command, 2 * settings.trainer.max_steps)
    lines = [
        f"{settings.case.name}, seed {settings.seed}: not certified after {fitted.steps} steps; "
        f"{len(failed)} bar{'s' if len(failed) != 1 else ''} fall{'s' if len(failed) == 1 else ''} short:",
        *(f"  {line}" for line in failed),
        *diagnosis,
        f"Nothing was bundled; the checkpoint is kept: {folder.checkpoint}",
        f"{advice}:",
        f"  {command}",
    ]
    return NotCertified("\n".join(lines), failed, diagnosis, fitted.steps, fitted.seconds)


def with_steps(command: str, steps: int) -> str:
    """Gives a command another `trainer.max_steps`."""
    words = [word for word in shlex.split(command) if not word.lstrip("+").startswith("trainer.max_steps=")]
    return shlex.join([*words, f"trainer.max_steps={steps}"])
