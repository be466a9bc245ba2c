"""Evaluates methods on models whose circuits are known, one by one and over many models.

Two tracks: methods that find circuits (`evaluate`), and methods that locate variables (`locate`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siit.evaluation.bench import Bench, evaluate
    from siit.evaluation.candidate import REFERENCES
    from siit.evaluation.files import Results, read_evaluation, read_results
    from siit.evaluation.result import CurvePoint, Evaluation, EvaluationSetting, Faithfulness, Rated
    from siit.evaluation.variables.bench import locate
    from siit.evaluation.variables.files import VariableResults, read_variables
    from siit.evaluation.variables.result import VariableEvaluation, VariableSetting

__all__ = [
    "REFERENCES",
    "Bench",
    "CurvePoint",
    "Evaluation",
    "EvaluationSetting",
    "Faithfulness",
    "Rated",
    "Results",
    "VariableEvaluation",
    "VariableResults",
    "VariableSetting",
    "evaluate",
    "locate",
    "read_evaluation",
    "read_results",
    "read_variables",
]

_HOMES = {
    **dict.fromkeys(("Bench", "evaluate"), "bench"),
    "REFERENCES": "candidate",
    **dict.fromkeys(("CurvePoint", "Evaluation", "EvaluationSetting", "Faithfulness", "Rated"), "result"),
    **dict.fromkeys(("Results", "read_evaluation", "read_results"), "files"),
    "locate": "variables.bench",
    **dict.fromkeys(("VariableResults", "read_variables"), "variables.files"),
    **dict.fromkeys(("VariableEvaluation", "VariableSetting"), "variables.result"),
}


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): the command's --help must not wait for torch.
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
