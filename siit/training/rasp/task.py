"""Defines the task of a RASP program."""

from __future__ import annotations

from dataclasses import dataclass, field

from siit.causal import CausalModel
from siit.tasks import Task
from tracr_cases import Case


@dataclass(frozen=True, eq=False)
class ProgramTask(Task):
    """A task whose causal model was built from a program.

    Attributes:
        case: the program.
    """

    case: Case = field(kw_only=True)


def task_from_case(case: Case, model: CausalModel) -> ProgramTask:
    """Makes the task of a catalogue entry and its causal model.

    Args:
        case: the program.
        model: its causal model.

    Raises:
        ValueError: lengths, a sampler or balance that cannot be; see `InputSpace`.
    """
    return ProgramTask(
        case.name, model, case.min_len, case.causal, case.sampler, case.balanced, case.rearranged, case=case
    )
