"""Evaluates the training objective: one expectation over interventions that are drawn for each example."""

from siit.training.objective.adversary import Adversary
from siit.training.objective.auxiliary_probes import AuxiliaryProbes
from siit.training.objective.draws import N_ABLATIONS, AblationDraw, InterchangeDraw, OffCircuitDraw
from siit.training.objective.losses import task_loss
from siit.training.objective.objective import Objective, Step, Term
from siit.training.objective.priorities import Priorities, RunningErrors
from siit.training.objective.replay import ReplayBuffer
from siit.training.objective.supervised_attention import SupervisedAttention

__all__ = [
    "N_ABLATIONS",
    "AblationDraw",
    "Adversary",
    "AuxiliaryProbes",
    "InterchangeDraw",
    "Objective",
    "OffCircuitDraw",
    "Priorities",
    "ReplayBuffer",
    "RunningErrors",
    "Step",
    "SupervisedAttention",
    "Term",
    "task_loss",
]
