"""Writes all that a sweep of methods that locate variables found into one file, and reads it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siit.evaluation.dataclass_json import from_plain, to_plain
from siit.evaluation.files import read_checked, write_json
from siit.evaluation.variables.overview import VariableMean
from siit.evaluation.variables.result import VariableEvaluation, VariableSetting

VARIABLES_FILE = "variables.json"
VARIABLES_FORMAT = "siit-variables-results/1"


@dataclass(frozen=True)
class LostVariableJob:
    """What could not be evaluated.

    Attributes:
        case, model_seed: of the model.
        method, setting: what was to be run.
        error: in a line.
    """

    case: str
    model_seed: int
    method: str
    setting: VariableSetting
    error: str


@dataclass(frozen=True)
class VariableResults:
    """All that a sweep found.

    Attributes:
        evaluations: without the methods' scores, which are in the files of each.
        failed: what could not be evaluated.
        means: over models.
    """

    evaluations: tuple[VariableEvaluation, ...]
    failed: tuple[LostVariableJob, ...]
    means: tuple[VariableMean, ...]


def write_variables(path: Path, results: VariableResults) -> None:
    """Writes all that a sweep found."""
    bare = tuple(_without_scores(one) for one in results.evaluations)
    write_json(path, {"format": VARIABLES_FORMAT, **to_plain(dataclasses.replace(results, evaluations=bare))})


def read_variables(path: str | Path) -> VariableResults:
    """Reads `variables.json`, all that `siit evaluate track=variables` found.

    Args:
        path: of the file.

    Returns:
        Evaluations without the methods' scores, what failed, and the means over models.

    Raises:
        ValueError: names the file, the field, what was found and what is accepted.
        OSError: it cannot be read.
    """
    return read_checked(Path(path), _results)


def _results(data: dict[str, Any]) -> VariableResults:
    if data.pop("format", None) != VARIABLES_FORMAT:
        raise ValueError(f"format: found another one, accepted is {VARIABLES_FORMAT!r}")
    return from_plain(VariableResults, data)


def _without_scores(one: VariableEvaluation) -> VariableEvaluation:
    return dataclasses.replace(
        one, units={name: dataclasses.replace(unit, scores={}) for name, unit in one.units.items()}
    )
