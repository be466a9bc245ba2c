"""The track of variables: methods that score which nodes carry a variable."""

from __future__ import annotations

from collections.abc import Sequence

from siit.evaluation.track import Track
from siit.evaluation.variables import table
from siit.evaluation.variables.bench import VariableBench, locator
from siit.evaluation.variables.files import VARIABLES_FILE, LostVariableJob, VariableResults, write_variables
from siit.evaluation.variables.overview import variable_means
from siit.evaluation.variables.result import VariableEvaluation, VariableSetting


def _sum_up(evaluations: Sequence[VariableEvaluation], failed: Sequence[LostVariableJob]) -> VariableResults:
    return VariableResults(tuple(evaluations), tuple(failed), variable_means(evaluations))


VARIABLES: Track[VariableSetting, VariableEvaluation, LostVariableJob, VariableResults] = Track(
    candidate=locator,
    bench=VariableBench,
    from_json=VariableEvaluation.from_json,
    lost=LostVariableJob,
    sum_up=_sum_up,
    results_file=VARIABLES_FILE,
    write=write_variables,
    figures=table.figures,
    summary=table.summary,
    closing=table.closing,
)
