"""RASP programs: their causal models, held against RASP and Tracr (arXiv 2301.05062)."""

from siit.training.rasp.agreement import check_agreement
from siit.training.rasp.from_rasp import ProgramError, build_causal_model
from siit.training.rasp.task import ProgramTask, task_from_case

__all__ = ["ProgramError", "ProgramTask", "build_causal_model", "check_agreement", "task_from_case"]
