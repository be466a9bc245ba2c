"""What is minimised: one expectation over interventions that are drawn for each example."""

from siit.objective.draws import InterchangeDraw, KindDraw, OffCircuitDraw
from siit.objective.losses import right, task_loss
from siit.objective.objective import Objective, Step, Term

__all__ = ["InterchangeDraw", "KindDraw", "Objective", "OffCircuitDraw", "Step", "Term", "right", "task_loss"]
