"""Tracks: what a sweep must know of that which it evaluates, which is circuits, or where variables are.

The names are those of MIB (Mueller et al., arXiv 2504.13151): circuit localization, and causal variable localization.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from siit.evaluation.candidate import Candidate
from siit.loading import LoadedModel


@runtime_checkable
class Setting(Protocol):
    """How models are run for a method."""

    @property
    def words(self) -> str:
        """Names the setting for people, without its pairs."""

    @property
    def file_name(self) -> str:
        """Names the file of a result: another one for each setting."""


@runtime_checkable
class Evaluated(Protocol):
    """What one method gave on one model."""

    @property
    def case(self) -> str:
        """The model's task."""

    @property
    def model_seed(self) -> int:
        """The seed that the model was trained with."""

    @property
    def manifest_sha256(self) -> str | None:
        """The sha256 of the model's manifest, in hex; None where it was not known."""

    @property
    def method(self) -> str:
        """The method's name, as `Track.candidate` takes it."""

    @property
    def method_sha256(self) -> str | None:
        """The sha256 of the file of a method of one's own, in hex; None of one of siit's."""

    @property
    def setting(self) -> Setting:
        """How the model was run."""

    @property
    def version(self) -> str:
        """The version of siit that made it."""

    @property
    def code_sha256(self) -> str | None:
        """The digest of the code that made it, see `siit.evaluation.code_digest`; None of earlier versions."""

    def to_json(self) -> dict[str, Any]:
        """Makes what is written into its file.

        Returns:
            Plain JSON without NaN, which `Track.from_json` reads.
        """


@runtime_checkable
class Lost(Protocol):
    """What could not be evaluated."""

    @property
    def case(self) -> str:
        """The model's task."""

    @property
    def model_seed(self) -> int:
        """The seed that the model was trained with."""

    @property
    def method(self) -> str:
        """The method's name."""

    @property
    def setting(self) -> Setting:
        """How the model was to be run."""

    @property
    def error(self) -> str:
        """What went wrong, in a line."""


@runtime_checkable
class Gathered(Protocol):
    """All that a sweep found."""

    @property
    def failed(self) -> Sequence[Lost]:
        """What could not be evaluated."""


SettingType = TypeVar("SettingType", bound=Setting)
FoundType = TypeVar("FoundType", bound=Evaluated)
LostType = TypeVar("LostType", bound=Lost)
ResultsType = TypeVar("ResultsType", bound=Gathered)
_Given = TypeVar("_Given", bound=Evaluated, covariant=True)


@runtime_checkable
class Evaluator(Protocol[_Given]):
    """One model under one setting, on which any number of methods are evaluated."""

    def evaluate(self, method: str) -> _Given:
        """Runs a method and measures what it gives.

        Args:
            method: its name, as `Track.candidate` takes it.

        Returns:
            What it gave on this model.

        Raises:
            ValueError: no such method, or what is wrong with its scores.
            Exception: whatever a method of one's own raises.
        """


@dataclass(frozen=True)
class Track(Generic[SettingType, FoundType, LostType, ResultsType]):
    """What is evaluated, and how it is kept and shown.

    Attributes:
        candidate: finds a method by its name.
        bench: takes a model, a setting, and the sha256 of the model's manifest.
        from_json: reads an evaluation.
        lost: takes case, seed of the model, method, setting and error.
        sum_up: makes results of evaluations and of what could not be evaluated.
        results_file: where they are kept, in the folder of the results.
        write: writes them.
        figures: words what counts most of an evaluation.
        summary: lays out what was found so far, for a narrow terminal.
        closing: lays out what was found.
    """

    candidate: Callable[[str, SettingType], Candidate]
    bench: Callable[[LoadedModel, SettingType, str | None], Evaluator[FoundType]]
    from_json: Callable[[Mapping[str, Any]], FoundType]
    lost: Callable[[str, int, str, SettingType, str], LostType]
    sum_up: Callable[[Sequence[FoundType], Sequence[LostType]], ResultsType]
    results_file: str
    write: Callable[[Path, ResultsType], None]
    figures: Callable[[FoundType], str]
    summary: Callable[[Sequence[FoundType]], Sequence[str]]
    closing: Callable[[ResultsType], Sequence[str]]
