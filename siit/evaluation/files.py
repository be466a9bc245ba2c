"""Writes evaluations into files, each whole or not at all, and reads them as if nobody vouched for them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from siit._files import write_whole
from siit.bundle.untrusted import parse
from siit.evaluation.dataclass_json import from_plain, to_plain
from siit.evaluation.overview import Overview
from siit.evaluation.result import Evaluation, EvaluationSetting
from siit.evaluation.track import Evaluated

RESULTS_FILE = "results.json"
RESULTS_FORMAT = "siit-results/1"
_Content = TypeVar("_Content")


@dataclass(frozen=True)
class FailedJob:
    """What could not be evaluated.

    Attributes:
        case, model_seed: of the model.
        method, setting: what was to be run.
        error: in a line.
    """

    case: str
    model_seed: int
    method: str
    setting: EvaluationSetting
    error: str


@dataclass(frozen=True)
class Results:
    """All that a sweep found.

    Attributes:
        evaluations: without the methods' scores, which are in the files of each.
        failed: what could not be evaluated.
        overview: over models.
    """

    evaluations: tuple[Evaluation, ...]
    failed: tuple[FailedJob, ...]
    overview: Overview


def write_evaluation(path: Path, evaluation: Evaluated) -> None:
    """Writes an evaluation; makes its folder."""
    write_json(path, evaluation.to_json())


def read_evaluation(path: str | Path) -> Evaluation:
    """Reads the file of one evaluation: one method on one model under one setting, with the method's scores.

    Args:
        path: of the file, which `siit evaluate` wrote below its `out`.

    Returns:
        The evaluation, as `siit.evaluate` gives it.

    Raises:
        ValueError: names the file, the field, what was found and what is accepted.
        OSError: it cannot be read.
    """
    return read_checked(Path(path), Evaluation.from_json)


def write_results(path: Path, results: Results) -> None:
    """Writes all that a sweep found."""
    bare = tuple(dataclasses.replace(one, scores={}) for one in results.evaluations)
    write_json(path, {"format": RESULTS_FORMAT, **to_plain(dataclasses.replace(results, evaluations=bare))})


def read_results(path: str | Path) -> Results:
    """Reads `results.json`, all that `siit evaluate` found.

    Args:
        path: of the file.

    Returns:
        Evaluations without the methods' scores, what failed, and the overview over models.

    Raises:
        ValueError: names the file, the field, what was found and what is accepted.
        OSError: it cannot be read.
    """
    return read_checked(Path(path), _results)


def _results(data: dict[str, Any]) -> Results:
    if data.pop("format", None) != RESULTS_FORMAT:
        raise ValueError(f"format: found another one, accepted is {RESULTS_FORMAT!r}")
    return from_plain(Results, data)


def read_checked(path: Path, make: Callable[[dict[str, Any]], _Content]) -> _Content:
    """Reads a file of JSON.

    Args:
        path: of the file.
        make: makes of its content what is asked for.

    Returns:
        What it made.

    Raises:
        ValueError: names the file, and what `make` does not take.
        OSError: it cannot be read.
    """
    data = parse(path.read_bytes(), path.name)
    try:
        return make(data)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes a file of JSON, whole or not at all; makes its folder."""
    write_whole(path, json.dumps(data, allow_nan=False) + "\n")
