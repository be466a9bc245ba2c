"""Checks a run on validation pairs: ends the circuit-only phase, and training itself, as soon as bars hold."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from siit.certificate import Certificate
from siit.certificate.certificate import SHARES
from siit.training.fit.callbacks import log
from siit.training.fit.display import Display
from siit.training.fit.escalation import Standstill, earliest_standstill
from siit.training.fit.module import SIITModule
from siit.training.fit.narrowing import idle_in
from siit.training.fit.revisions import Narrowing
from siit.training.fit.validation import circuit_alone, halves, validation_certificate
from siit.verification.idle_members import Idle

APART = 1.1
"""Each check is at the earliest at so many times the steps of the last one: checks take a bounded share of the time."""
SOUGHT_APART = 1.5
"""Idle members are sought again at so many times the steps at which they were sought last. What has lost most of its
edges fades as training goes on."""
HOPELESS = {"categorical": 0.3, "numerical": 1.0}
"""Running error above which a check measures nothing. It is far above any bar: the averaged weights, which are
measured, are better than those that are trained. Where answers are numbers they are better by far."""


@dataclass(frozen=True)
class Found:
    """What a check found.

    Attributes:
        outcome: in words.
        error: share of wrong answers in the worst interchange.
        interchange: its name; None where no interchange is what is wrong.
        metrics: what was measured, for the loggers.
    """

    outcome: str
    error: float
    interchange: str | None
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Check(Callback, ABC):
    """Looks at a run between epochs, at times that are further and further apart, and ends it where it stands still.

    Args:
        evidence: validation pairs; moved to the module's device in place.
        display: is told of every check.
        can_widen: tells whether a run that stands still at an interchange has a node left to give to it.

    Attributes:
        checked_at: the step of the last check; 0 before the first.
        standstill: watches the error.
    """

    def __init__(self, evidence: dict[str, Tensor], display: Display, can_widen: Callable[[str], bool]) -> None:
        self.evidence, self.display, self.can_widen = evidence, display, can_widen
        self.checked_at, self.standstill, self._revised = 0, Standstill(), 0

    def setup(self, trainer: pl.Trainer, pl_module: SIITModule, stage: str) -> None:
        self.evidence |= {name: tensor.to(pl_module.device) for name, tensor in self.evidence.items()}

    @abstractmethod
    def concerns(self, module: SIITModule) -> bool:
        """Tells whether the run is in the phase that this check ends."""

    @abstractmethod
    def check(self, trainer: pl.Trainer, module: SIITModule) -> Found:
        """Measures, and acts."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        if len(pl_module.revisions) != self._revised:
            self._revised = len(pl_module.revisions)
            self.begin_anew(trainer.global_step)

    def begin_anew(self, step: int) -> None:
        """Forgets what was found of another circuit; the first check of this one comes at once."""
        self.standstill, self.checked_at = Standstill(since=step), 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        if not self.concerns(pl_module) or trainer.global_step < APART * self.checked_at:
            return
        self.checked_at = trainer.global_step
        found = self.check(trainer, pl_module)
        phase = float(pl_module.everything_from is None)
        log(trainer, {"val/error": found.error, "val/circuit_only": phase, **found.metrics})
        self.display.checked(trainer, pl_module, found.outcome)
        if not pl_module.chosen.escalation:
            return
        can_widen = found.interchange is not None and self.can_widen(found.interchange)
        earliest = earliest_standstill(pl_module.settings, pl_module.everything_from, can_widen)
        # Checks in which all holds count too: a lapse is no standstill.
        stands_still = self.standstill.note(trainer.global_step, found.error, earliest)
        if stands_still and found.interchange is not None:
            pl_module.stands_still = found.interchange
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"checked_at": self.checked_at, "revised": self._revised, **dataclasses.asdict(self.standstill)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.checked_at, self._revised = int(state_dict["checked_at"]), int(state_dict["revised"])
        self.standstill = Standstill(float(state_dict["least"]), int(state_dict["since"]))


class CircuitOnlyPhase(Check):
    """Ends the circuit-only phase at the first check at which the circuit alone is right often enough.

    Args:
        bar: the share of right answers, in the worst interchange; None: there is no such phase.
        evidence: validation pairs; moved to the module's device in place.
        display: is told of every check.
        can_widen: tells whether an interchange that stays wrong can be given a node.
    """

    def __init__(
        self, bar: float | None, evidence: dict[str, Tensor], display: Display, can_widen: Callable[[str], bool]
    ) -> None:
        super().__init__(evidence, display, can_widen)
        self.bar = bar

    def concerns(self, module: SIITModule) -> bool:
        """Tells whether the circuit-only phase lasts."""
        return module.everything_from is None

    def check(self, trainer: pl.Trainer, module: SIITModule) -> Found:
        """Measures the circuit alone, and ends its phase where it is right often enough; see `Check.check`."""
        assert self.bar is not None
        error, name = module.worst_interchange()
        if error > HOPELESS[module.answers.output]:
            return Found(f"circuit only: about {1 - error:.2f} of {self.bar:g} in training ({name})", error, name)
        alone, name = circuit_alone(module, next(halves(self.evidence)), self.bar)
        passed = alone >= self.bar
        if passed:
            module.everything_from = trainer.global_step
        metrics = {"val/circuit_alone": alone}
        if passed:
            outcome = f"circuit only: {alone:.4f} of {self.bar:g}, passed: everything from here on"
            return Found(outcome, 1 - alone, None, metrics)
        return Found(f"circuit only: {alone:.4f} of {self.bar:g} ({name})", 1 - alone, name, metrics)


class ValidationCheck(Check):
    """Measures the validation certificate once the circuit-only phase is over, and ends training where it holds.

    It must hold on two halves of the pairs, which have none in common; the second is measured where the first passes.
    Idle members are sought as soon as the circuit holds, now and then from there on, and whenever all does. What is off
    it takes longest to hold.

    Args:
        evidence: validation pairs; moved to the module's device in place.
        failed_at: the step at which an earlier model of this run failed its test certificate, which it must train on
            from.
        display: is told of every check.
        can_widen: tells whether an interchange that stays wrong can be given a node.
        narrowing: finds the edges that leave the circuit where members of it are idle; None where none can.

    Attributes:
        passed: whether every bar held at the last check, and no member of the circuit was idle.
        sought_at: the step at which idle members of this circuit were sought last; 0 before the first time.
    """

    def __init__(
        self,
        evidence: dict[str, Tensor],
        failed_at: int | None,
        display: Display,
        can_widen: Callable[[str], bool],
        narrowing: Callable[[Sequence[Idle], int], Narrowing | None],
    ) -> None:
        super().__init__(evidence, display, can_widen)
        self.failed_at, self.narrowing = failed_at, narrowing
        self.passed, self.sought_at = False, 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: SIITModule) -> None:
        super().on_train_start(trainer, pl_module)
        if trainer.global_step == self.failed_at:
            self.passed = False
        # A run that was stopped between its last check and its bundle has nothing left to train.
        trainer.should_stop = self.passed

    def begin_anew(self, step: int) -> None:
        """Forgets what was found of earlier labels; see `Check.begin_anew`."""
        super().begin_anew(step)
        self.sought_at = 0

    def concerns(self, module: SIITModule) -> bool:
        """Tells whether everything has been trained for at least one check."""
        # Where the circuit alone has just passed, nothing is known of the rest.
        return module.everything_from is not None and module.global_step > module.everything_from

    def check(self, trainer: pl.Trainer, module: SIITModule) -> Found:
        """Measures everything, seeks idle members, and ends training where all holds; see `Check.check`."""
        error, name = module.worst_interchange()
        if error > HOPELESS[module.answers.output]:
            return Found(f"everything: about {1 - error:.2f} in training ({name})", error, name)
        for half in halves(self.evidence):
            certificate = validation_certificate(module, half, trainer.global_step // module.settings.check_every)
            if not certificate.certified:
                break
        due = trainer.global_step >= SOUGHT_APART * self.sought_at
        seek = certificate.certified or (due and circuit_holds(certificate))
        idle = idle_in(module, half) if seek else []
        self.sought_at = trainer.global_step if seek else self.sought_at
        self.passed = certificate.certified and not idle
        leaving = self.narrowing(idle, trainer.global_step) if idle else None
        if leaving is not None:
            module.idle = leaving.edges
        trainer.should_stop = self.passed or leaving is not None
        shares = {f"val/{name}": getattr(certificate, name) for name in SHARES}
        metrics = {name: value for name, value in shares.items() if value is not None}
        metrics["val/passed"] = float(self.passed)
        if self.passed:
            return Found("everything: every bar holds", 0.0, None, metrics)
        if idle and (certificate.certified or leaving is not None):
            holds = "every bar" if certificate.certified else "the circuit"
            return Found(f"everything: {holds} holds, and {idle[0].finding}", 0.0, None, metrics)
        return Found(f"everything: {nearest_to_failing(certificate)}", *worst_interchange(certificate), metrics)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "passed": self.passed, "sought_at": self.sought_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.passed, self.sought_at = bool(state_dict["passed"]), int(state_dict["sought_at"])


def circuit_holds(certificate: Certificate) -> bool:
    """Tells whether the circuit alone is right, under no interchange and under each, whatever else fails."""
    fields = ("accuracy", "iia", "edge_iia", "strict_joint", "joint_mean", "joint_zero")
    values = {field: getattr(certificate, field) for field in fields}
    return all(value is None or value >= certificate.bars[field] for field, value in values.items())


def worst_interchange(certificate: Certificate) -> tuple[float, str | None]:
    """Finds the share of wrong answers in a certificate's worst interchange, and its name; None where all hold."""
    values = {**certificate.details.get("iia", {}), **certificate.details.get("edge_iia", {})}
    name = min(values, key=values.__getitem__, default=None)
    if name is None or values[name] >= certificate.bars["iia"]:
        return 0.0, None
    return 1 - values[name], name


WORDS = {
    "accuracy": "accuracy",
    "iia": "worst interchange of a variable",
    "edge_iia": "worst interchange of an edge",
    "strict_node": "worst node",
    "strict_edge": "worst edge",
    "strict_joint": "all off-circuit parts at once",
    "strict_subsets": "worst subset",
    "strict_adversarial": "adversary's subsets",
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
