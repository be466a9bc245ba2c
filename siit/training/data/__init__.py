"""Inputs and pairs of inputs: how they are drawn, and how training, validation and test are kept apart."""

from siit.training.data.inputs import InputSpace
from siit.training.data.pairs import ProgramPairSampler, Split
from siit.training.data.samplers import SAMPLERS
from siit.training.data.task import ReportedInputs, Task

__all__ = ["SAMPLERS", "InputSpace", "ProgramPairSampler", "ReportedInputs", "Split", "Task"]
