"""Tasks: a causal model with its inputs, and how pairs of them are drawn and the splits kept apart."""

from siit.tasks.declared import declare, task_from_json
from siit.tasks.inputs import InputSpace
from siit.tasks.pairs import ProgramPairSampler, Split, TooFewInputsError
from siit.tasks.samplers import SAMPLERS
from siit.tasks.sentence_task import SentencePairSampler, SentenceTask
from siit.tasks.sentences import Sentences
from siit.tasks.task import ReportedInputs, Task
from siit.tasks.training_pairs import TrainingPairSampler

__all__ = [
    "SAMPLERS",
    "InputSpace",
    "ProgramPairSampler",
    "ReportedInputs",
    "SentencePairSampler",
    "SentenceTask",
    "Sentences",
    "Split",
    "Task",
    "TooFewInputsError",
    "TrainingPairSampler",
    "declare",
    "task_from_json",
]
