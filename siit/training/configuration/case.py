"""What the settings of every case have: a name, a task, and a recipe that `objective=siit` reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from omegaconf import MISSING

from siit.tasks import Task
from siit.training.configuration.draws import OffCircuitSettings


@dataclass
class AlignmentSettings:
    """Holds where variables are placed; see `siit.interchange.alignment`."""

    heads: dict[str, int] = field(default_factory=dict)
    """Heads of its layer that an attention variable gets, where it is not what follows from the causal model
    (siit/interchange/capacity.py), for example {rank_share: 3}."""
    mlps: list[str] | None = None
    """Attention variables that get the MLP of their layer too, for example [rank_share]; null: those that follow from
    the causal model."""
    nodes: dict[str, list[str]] = field(default_factory=dict)
    """Variable -> nodes, fixing the placement that is otherwise drawn from the seed, for example {is_x: [m0], ...}."""


def recipe_off_circuit() -> OffCircuitSettings:
    """Makes what is replaced off the circuit by default, once the circuit alone is right."""
    return OffCircuitSettings(none=0.05, all=0.4, subset=0.35, one=0.2)


@dataclass
class CaseSettings(ABC):
    """Holds what every case has; a subclass adds where its task comes from.

    Of its fields, `objective=siit` alone reads the recipe: all but the name and the alignment.
    """

    FIXED_BY: ClassVar[str]
    """What fixes a program's own fields, where the case has none of them."""
    CHOSEN_BY: ClassVar[str]
    """How the command line chooses such a case."""

    _target_: str = MISSING
    """Class of these settings, which makes the task."""
    name: str = MISSING
    """Name of the case, and of its models' folder."""
    circuit_first: float = 0.97
    """Share of right answers at which the circuit-only phase ends, in the circuit's worst interchange."""
    probe_weight: float = 1.0
    """Factor of the loss of the auxiliary probes."""
    off_circuit: OffCircuitSettings = field(default_factory=recipe_off_circuit)
    """What is replaced off the circuit after the circuit-only phase."""
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)
    """Where variables are placed."""

    @abstractmethod
    def check(self) -> None:
        """Checks the case's own fields, which costs nothing.

        Raises:
            ConfigError: names the key, what was found and what is accepted.
        """

    @abstractmethod
    def make_task(self) -> Task:
        """Checks the fields and makes the task; its causal model is not yet held against RASP and Tracr.

        Raises:
            ConfigError: as `check`; inputs that the program cannot have; or no causal model of the program.
        """
