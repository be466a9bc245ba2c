"""What an evaluation of one method that locates variables holds, for one model, and how it is written and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siit.discovery.method import Parameters
from siit.evaluation.dataclass_json import from_plain, to_plain
from siit.evaluation.result import Parameter
from siit.localization.draw import PAIRS
from siit.localization.task import Positions

FORMAT = "siit-variables/1"
APART, ALL = "apart", "all"
"""Views: heads and MLPs, those left out whose own units have the same answers; and every node."""


@dataclass(frozen=True)
class VariableSetting(Parameters):
    """How models are run for a method that locates variables.

    Attributes:
        positions: where a variable is interchanged: at `some` positions of a pair, drawn anew for each, or at `all`.
        n_pairs: how many pairs a method fits on, and on how many others it scores.
        seed: of the pairs, and of a method that draws.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """

    positions: Positions = "some"
    n_pairs: int = PAIRS
    seed: int = 0

    @property
    def words(self) -> str:
        """Names the setting for people, without its pairs."""
        return f"{self.positions} seed={self.seed}"

    @property
    def file_name(self) -> str:
        """Names the file of a result."""
        return f"variables.{self.positions}.pairs-{self.n_pairs}.seed-{self.seed}.json"


@dataclass(frozen=True)
class Placing:
    """How far to the front an order of nodes has the true ones.

    Attributes:
        top_1: whether the first node is a true one; of equal scores the share of true ones.
        reciprocal_rank: 1 over the place of the first true node; of equal scores what a random order of them expects.
        average_precision: see `siit.scoring.Ranking`.
    """

    top_1: float
    reciprocal_rank: float
    average_precision: float

    def __post_init__(self) -> None:
        for name in ("top_1", "reciprocal_rank", "average_precision"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: found {getattr(self, name)}, accepted is a share from 0 to 1")


@dataclass(frozen=True)
class Placed(Placing):
    """What a method reaches, beside what needs no method.

    Attributes:
        positives, negatives: how many nodes were ordered.
        random: what a random order is expected to reach.
        structure: what the structure null reaches.
    """

    positives: int
    negatives: int
    random: Placing
    structure: Placing


@dataclass(frozen=True)
class LocatedUnit:
    """One unit.

    Attributes:
        nodes: those that carry it, by the labels.
        tied: nodes of other units whose interchange has the same answers on every held-out pair.
        views: `apart` and `all`; one in which nothing is to be told apart is left out.
        at_nodes: the best score of a node that carries it.
        at_others: the best of those that `apart` ranks below them; None where there are none.
        best_other: the node that has it.
        together: IIA on the held-out pairs with all nodes of the unit interchanged together.
        untouched: IIA there of a model in which nothing is interchanged.
        scores: the method's, of every node; empty where they were left out.
    """

    nodes: tuple[str, ...]
    tied: tuple[str, ...]
    views: Mapping[str, Placed]
    at_nodes: float
    at_others: float | None
    best_other: str | None
    together: float
    untouched: float
    scores: Mapping[str, float]


@dataclass(frozen=True)
class VariableEvaluation:
    """One method on one model.

    Attributes:
        case, model_seed, tier, family, manifest_sha256, method, parameters, method_sha256: see
            `siit.evaluation.Evaluation`.
        setting: how the model was run.
        units: unit -> how it was located.
        left_out: units whose interchange changes no answer, with the reason.
        seconds, forward, backward, device, version, code_sha256: see `siit.evaluation.Evaluation`; of all units
            together.
    """

    case: str
    model_seed: int
    tier: str
    family: str
    manifest_sha256: str | None
    method: str
    parameters: Mapping[str, Parameter]
    method_sha256: str | None
    setting: VariableSetting
    units: Mapping[str, LocatedUnit]
    left_out: Mapping[str, str]
    seconds: float
    forward: int
    backward: int
    device: str
    version: str
    code_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Makes plain JSON of it."""
        return {"format": FORMAT, **to_plain(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VariableEvaluation:
        """Reads what `to_json` made.

        Raises:
            ValueError: names the field, what was found and what is accepted.
        """
        if data.get("format") != FORMAT:
            raise ValueError(f"format: found {data.get('format')!r}, accepted is {FORMAT!r}")
        return from_plain(cls, {key: value for key, value in data.items() if key != "format"})
