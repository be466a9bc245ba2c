"""Inputs and pairs of inputs: how they are drawn, and how training, validation and test are kept apart."""

from siit.data.pairs import Pairs, PairSampler, Sampler, permuted_positions
from siit.data.samplers import SAMPLERS
from siit.data.task import Probe, Task, task_from_case

__all__ = ["SAMPLERS", "PairSampler", "Pairs", "Probe", "Sampler", "Task", "permuted_positions", "task_from_case"]
