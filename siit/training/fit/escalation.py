"""Escalation: a run that stands still gives the variable that is wrong most often one more node, and trains on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from siit.interchange.alignment import more_capacity
from siit.interchange.interventions import Interchanges
from siit.training.configuration.settings import TrainerSettings
from siit.training.fit.plan import Plan
from siit.training.fit.revisions import Widening
from siit.training.fit.schedule import last_fall

BETTER = 0.9
"""An error counts as smaller when it is at most so many times what it was."""
PATIENCE = 1.5
"""A run stands still at so many times the steps at which its error became smaller for the last time. After the
circuit-only phase it does so no sooner than after so many falls of the learning rate: much is learned once it is low.
"""
LAST_CHANCE = 3.0
"""The same where no node is left to give. In the circuit-only phase the learning rate has then fallen twice."""


def earliest_standstill(settings: TrainerSettings, everything_from: int | None, can_widen: bool) -> int:
    """Tells before which step a run is not said to stand still.

    Args:
        settings: say how the learning rate falls.
        everything_from: the step at which the circuit-only phase ended; None while it lasts.
        can_widen: whether a node is left to give to what is wrong.
    """
    if everything_from is None:
        return round((1.0 if can_widen else LAST_CHANCE) * settings.anneal_steps)
    return everything_from + round((PATIENCE if can_widen else LAST_CHANCE) * last_fall(settings, everything_from))


@dataclass
class Standstill:
    """Watches the error that the checks of a run find.

    Attributes:
        least: the smallest error so far.
        since: the step at which it was found.
    """

    least: float = float("inf")
    since: int = 0

    def note(self, step: int, error: float, not_before: int) -> bool:
        """Notes an error; tells whether the run stands still.

        Args:
            step: of the check.
            error: share of wrong answers in the worst interchange; 0 where every interchange holds.
            not_before: a step before which nothing is said, see `earliest_standstill`.
        """
        if error <= BETTER * self.least:
            self.least, self.since = error, step
        return step >= max(not_before, PATIENCE * self.since)


def next_widening(plan: Plan, interchange: str, step: int, seed: int) -> Widening | None:
    """Finds what to widen where an interchange stays wrong; None where every layer concerned is full.

    Args:
        plan: what is trained, with what has been widened.
        interchange: the one that is wrong most often.
        step: at which the run stands still.
        seed: of the run; draws which of the free heads.
    """
    for variable in _concerned(plan.interchanges, interchange):
        node = more_capacity(plan.task.model, plan.config, plan.alignment, variable, seed)
        if node is not None:
            return Widening(variable, node, step)
    return None


def _concerned(interchanges: Interchanges, name: str) -> Iterator[str]:
    """Yields the attention variables that an interchange may fail for: its own, readers first, then their parents."""
    labels, variables = interchanges.labels, interchanges.model.variables
    own = list(labels.units.get(name, ()))
    for edge in labels.edges.get(name, ()):
        own += [edge.child, edge.parent]
    parents = [
        parent
        for variable in own
        if variable in variables
        for group in variables[variable].mechanism.parents.values()
        for parent in group
    ]
    for variable in dict.fromkeys([*own, *parents]):
        if variable in labels.circuit.excluded or variable not in variables:
            continue
        if variables[variable].is_attention:
            yield variable
