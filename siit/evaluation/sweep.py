"""Evaluates methods on models under settings; what is done already is not done again."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch

from siit._text import one_line
from siit._version import __version__
from siit.bundle import IndexEntry
from siit.evaluation.code_digest import code_sha256
from siit.evaluation.files import read_checked, write_evaluation
from siit.evaluation.processes import shared
from siit.evaluation.track import Evaluated, Evaluator, FoundType, LostType, ResultsType, SettingType, Track
from siit.loading import LoadedModel, load

_Ended = TypeVar("_Ended")


@runtime_checkable
class Onlooker(Protocol):
    """Is told how a sweep goes on."""

    def evaluated(self, evaluation: Any, *, again: bool) -> None:
        """Hears of an evaluation; `again` if it was there already."""

    def failed(self, failed: Any) -> None:
        """Hears of what could not be evaluated."""

    def note(self, text: str) -> None:
        """Hears of anything else, in a line."""


@dataclass(frozen=True)
class Loader:
    """Loads the models of a bundle onto a device.

    Attributes:
        bundle: a folder, or a repository's id on the Hub.
        device: where its models go.
    """

    bundle: str
    device: torch.device

    def __call__(self, entry: IndexEntry) -> LoadedModel:
        """Loads one."""
        found = load(self.bundle, entry.case, entry.seed)
        found.model.to(self.device)
        return found


@dataclass(frozen=True)
class EvaluationJob(Generic[SettingType]):
    """One method on one model under one setting.

    Attributes:
        entry: the model, by the bundle's index.
        method: its name.
        method_sha256: of the file of a method of one's own.
        setting: how it is run.
    """

    entry: IndexEntry
    method: str
    method_sha256: str | None
    setting: SettingType

    def file(self, out: Path) -> Path:
        """Names the file of its result."""
        folder = out / self.entry.case / f"seed-{self.entry.seed}" / self.method.replace(":", ".")
        return folder / self.setting.file_name

    def is_of(self, found: Evaluated) -> bool:
        """Tells whether an evaluation is this job's: of this very model and method, by this code of siit."""
        model = (found.case, found.model_seed, found.manifest_sha256)
        method = (found.method, found.method_sha256, found.setting)
        return (
            model == (self.entry.case, self.entry.seed, self.entry.manifest_sha256)
            and method == (self.method, self.method_sha256, self.setting)
            and (found.version, found.code_sha256) == (__version__, code_sha256())
        )


def jobs_of(
    track: Track[SettingType, FoundType, LostType, ResultsType],
    entries: Sequence[IndexEntry],
    methods: Sequence[str],
    settings: Sequence[SettingType],
) -> list[EvaluationJob[SettingType]]:
    """Lists all jobs, those of one model and setting together.

    Args:
        track: what is evaluated.
        entries: the models.
        methods: by name.
        settings: how they are run.

    Raises:
        ValueError: names a method that cannot be found or made.
    """
    digests = {(name, setting): track.candidate(name, setting).sha256 for name in methods for setting in settings}
    return [
        EvaluationJob(entry, name, digests[name, setting], setting)
        for entry in entries
        for setting in settings
        for name in methods
    ]


def sweep(
    track: Track[SettingType, FoundType, LostType, ResultsType],
    jobs: Sequence[EvaluationJob[SettingType]],
    load: Callable[[IndexEntry], LoadedModel],
    out: Path,
    onlooker: Onlooker,
    processes: int = 1,
) -> ResultsType:
    """Does all jobs, and sums up what they found, in the jobs' order. One that fails stops no other.

    Args:
        track: what is evaluated.
        jobs: of `jobs_of`.
        load: loads a model; each process calls it once for each that something is left to do on. For several
            processes it must be picklable.
        out: folder of the results' files; those that are there, whole and of the same job are taken as they are.
        onlooker: is told.
        processes: how many share the jobs; one is this process.

    Raises:
        OSError: a file cannot be written.
    """
    evaluations: dict[int, FoundType] = {}
    failures: dict[int, LostType] = {}
    for index, job in enumerate(jobs):
        if (before := _before(track, job, out, onlooker)) is not None:
            evaluations[index] = before
            onlooker.evaluated(before, again=True)
    waiting = {index: job for index, job in enumerate(jobs) if index not in evaluations}
    with contextlib.closing(shared(Benches(track, load).do, waiting, processes)) as ending:
        for index, found in ending:
            job = jobs[index]
            if isinstance(found, str):
                failures[index] = track.lost(job.entry.case, job.entry.seed, job.method, job.setting, found)
                onlooker.failed(failures[index])
            else:
                write_evaluation(job.file(out), found)
                evaluations[index] = found
                onlooker.evaluated(found, again=False)
    return track.sum_up(_in_order(evaluations), _in_order(failures))


def _in_order(ended: Mapping[int, _Ended]) -> list[_Ended]:
    return [ended[index] for index in sorted(ended)]


class Benches(Generic[SettingType, FoundType, LostType, ResultsType]):
    """Does jobs, and keeps the latest model and its latest bench for jobs that come one after the other.

    Args:
        track: what is evaluated.
        load: loads a model.
    """

    def __init__(
        self, track: Track[SettingType, FoundType, LostType, ResultsType], load: Callable[[IndexEntry], LoadedModel]
    ) -> None:
        self._track, self._load = track, load
        self._model: tuple[IndexEntry, LoadedModel] | None = None
        self._bench: tuple[IndexEntry, SettingType, Evaluator[FoundType]] | None = None

    def do(self, job: EvaluationJob[SettingType]) -> FoundType | str:
        """Evaluates; returns the error, in a line, where that raises one."""
        try:
            return self._of(job).evaluate(job.method)
        # A method is anybody's code: whatever it raises is its result.
        except Exception as error:
            return _worded(error, job.method)

    def _of(self, job: EvaluationJob[SettingType]) -> Evaluator[FoundType]:
        entry = job.entry
        if self._bench is None or self._bench[:2] != (entry, job.setting):
            if self._model is None or self._model[0] != entry:
                self._model = (entry, self._load(entry))
            self._bench = (
                entry,
                job.setting,
                self._track.bench(self._model[1], job.setting, entry.manifest_sha256),
            )
        return self._bench[2]


def _before(
    track: Track[SettingType, FoundType, LostType, ResultsType],
    job: EvaluationJob[SettingType],
    out: Path,
    onlooker: Onlooker,
) -> FoundType | None:
    """Reads what an earlier run found; None where there is nothing, or nothing that can be used."""
    path = job.file(out)
    if not path.exists():
        return None
    try:
        found = read_checked(path, track.from_json)
    except (ValueError, OSError) as error:
        onlooker.note(f"{path} is damaged, and is made anew: {one_line(error)}")
        return None
    return found if job.is_of(found) else None


def _worded(error: Exception, method: str) -> str:
    """Words an error in a line; of a method of one's own with the place in its file."""
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return one_line(f"{kind}{error}{_place(error, method)}")


def _place(error: Exception, method: str) -> str:
    module = sys.modules.get(method.partition(":")[0]) if ":" in method else None
    file = getattr(module, "__file__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
