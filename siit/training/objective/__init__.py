"""Evaluates the training objective: one expectation over interventions that are drawn for each example."""

from siit.training.objective.adversary import Adversary
from siit.training.objective.auxiliary_probes import AuxiliaryProbes
from siit.training.objective.draws import N_ABLATIONS, AblationDraw, InterchangeDraw, OffCircuitDraw
from siit.training.objective.hardest import Candidates
from siit.training.objective.interventions import Drawn
from siit.training.objective.losses import answer_losses, task_loss
from siit.training.objective.objective import Answered, Objective, Step, Term
from siit.training.objective.priorities import Priorities, RunningErrors
from siit.training.objective.replay import ReplayBuffer
from siit.training.objective.supervised_attention import SupervisedAttention

__all__ = [
    "N_ABLATIONS",
    "AblationDraw",
    "Adversary",
    "Answered",
    "AuxiliaryProbes",
    "Candidates",
    "Drawn",
    "InterchangeDraw",
    "Objective",
    "OffCircuitDraw",
    "Priorities",
    "ReplayBuffer",
    "RunningErrors",
    "Step",
    "SupervisedAttention",
    "Term",
    "answer_losses",
    "task_loss",
]
