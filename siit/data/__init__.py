"""Inputs and pairs of inputs: how they are drawn, and how training, validation and test are kept apart."""

from siit.data.pairs import Pairs, PairSampler, Sampler, permuted_positions
from siit.data.samplers import SAMPLERS
from siit.data.task import Task, task_from_case

__all__ = ["SAMPLERS", "PairSampler", "Pairs", "Sampler", "Task", "permuted_positions", "task_from_case"]
