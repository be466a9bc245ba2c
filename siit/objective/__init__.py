"""What is minimised: one expectation over interventions that are drawn for each example."""

from siit.objective.decoding import Decoders
from siit.objective.draws import N_KINDS, InterchangeDraw, KindDraw, OffCircuitDraw
from siit.objective.focus import Focus, RunningErrors
from siit.objective.losses import right, task_loss
from siit.objective.objective import Objective, Step, Term
from siit.objective.replay import Mistakes

__all__ = [
    "N_KINDS",
    "Decoders",
    "Focus",
    "InterchangeDraw",
    "KindDraw",
    "Mistakes",
    "Objective",
    "OffCircuitDraw",
    "RunningErrors",
    "Step",
    "Term",
    "right",
    "task_loss",
]
