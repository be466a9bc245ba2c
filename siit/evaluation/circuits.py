"""The track of circuits: discovery methods, which score edges and nodes."""

from __future__ import annotations

from collections.abc import Sequence

from siit.evaluation import table
from siit.evaluation.bench import Bench
from siit.evaluation.candidate import candidate
from siit.evaluation.files import RESULTS_FILE, FailedJob, Results, write_results
from siit.evaluation.overview import overview
from siit.evaluation.result import Evaluation, EvaluationSetting
from siit.evaluation.track import Track


def _sum_up(evaluations: Sequence[Evaluation], failed: Sequence[FailedJob]) -> Results:
    return Results(tuple(evaluations), tuple(failed), overview(evaluations))


CIRCUITS: Track[EvaluationSetting, Evaluation, FailedJob, Results] = Track(
    candidate=candidate,
    bench=Bench,
    from_json=Evaluation.from_json,
    lost=FailedJob,
    sum_up=_sum_up,
    results_file=RESULTS_FILE,
    write=write_results,
    figures=table.figures,
    summary=table.summary,
    closing=table.closing,
)
