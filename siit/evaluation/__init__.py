"""Evaluates circuit discovery methods on models whose circuits are known: one by one, and over many models."""

from siit.evaluation.bench import Bench, evaluate
from siit.evaluation.candidate import REFERENCES
from siit.evaluation.result import CurvePoint, Evaluation, EvaluationSetting, Faithfulness, Rated

__all__ = [
    "REFERENCES",
    "Bench",
    "CurvePoint",
    "Evaluation",
    "EvaluationSetting",
    "Faithfulness",
    "Rated",
    "evaluate",
]
