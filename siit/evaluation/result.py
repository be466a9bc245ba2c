"""What an evaluation of one method on one model holds, and how it is written and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from siit.certificate.fields import Kind
from siit.discovery import PAIRS
from siit.discovery.method import Parameters
from siit.discovery.task import Level
from siit.evaluation.dataclass_json import from_plain, to_plain
from siit.scoring.ranking import Chance, Ranking

FORMAT = "siit-evaluation/1"
PERMUTED, PLAIN = "permuted", "plain"
"""Corruptions by another input: its positions permuted, or in place."""
HEADLINE = "visible"
"""The view that counts: edges on the circuit that the pairs can show, against those that are certified off it."""

Parameter = str | int | float | bool | None


@dataclass(frozen=True)
class EvaluationSetting(Parameters):
    """How models are run for a method, and for what is measured of it.

    Attributes:
        corruption: what the corrupted inputs are: `plain` (another input), `permuted` (the same with permuted
            positions), or a contrast that the case has, such as `third_name`.
        ablation: what replaces a part: its output on the corrupted input (`resample`), its mean over these, or zero.
        n_pairs: how many pairs a method sees, and on how many others faithfulness is measured.
        seed: of the pairs, and of a method that draws.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """

    corruption: str = PERMUTED
    ablation: Kind = "resample"
    n_pairs: int = PAIRS
    seed: int = 0

    @property
    def words(self) -> str:
        """Names the setting for people, without its pairs."""
        return f"{self.corruption} {self.ablation} seed={self.seed}"

    @property
    def file_name(self) -> str:
        """Names the file of a result."""
        return f"{self.corruption}.{self.ablation}.pairs-{self.n_pairs}.seed-{self.seed}.json"


@dataclass(frozen=True)
class Baseline:
    """What a ranking reaches.

    Attributes:
        roc_auc, average_precision: see `siit.scoring.Ranking`.
        precision_at_size: precision among as many of the first as there are positives.
    """

    roc_auc: float
    average_precision: float
    precision_at_size: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, float) and not 0 <= value <= 1:
                raise ValueError(f"{name}: found {value}, accepted is a share from 0 to 1")

    @classmethod
    def of(cls, ranking: Ranking) -> Baseline:
        """Takes the numbers of a ranking."""
        return cls(ranking.roc_auc, ranking.average_precision, ranking.precision_at_size)


@dataclass(frozen=True)
class Rated(Baseline):
    """What a method's ranking reaches, beside what needs no method.

    Attributes:
        positives, negatives: how many were ranked.
        random: what a random order reaches.
        structure: what the structure null reaches.
    """

    positives: int
    negatives: int
    random: Chance
    structure: Baseline


@dataclass(frozen=True)
class CurvePoint:
    """A circuit of a method's first edges, or nodes.

    Attributes:
        share: how many of all parts are kept.
        parts: their number.
        faithfulness: 0 where nothing is kept, 1 for the whole model.
        accuracy: share of scored places at which its answer is the causal model's.
    """

    share: float
    parts: int
    faithfulness: float
    accuracy: float


@dataclass(frozen=True)
class Faithfulness:
    """How well circuits do of which all other parts are replaced (MIB, arXiv 2504.13151, section 3).

    Attributes:
        metric: `difference` where answers are classes: logit of the causal model's answer less the foil's; `error`
            where they are numbers: minus the distance to the causal model's answer.
        pairs: of the evidence, on which it was measured.
        cpr: area under the curve of faithfulness over shares of parts, from 0.1 % on; higher is better.
        cmd: area between the curve and 1; lower is better.
        curve: the points.
        at_size: the circuit of as many parts as the true one has.
        whole, empty: what the metric is of the whole model, and with every part replaced.
    """

    metric: Literal["difference", "error"]
    pairs: int
    cpr: float
    cmd: float
    curve: tuple[CurvePoint, ...]
    at_size: CurvePoint
    whole: float
    empty: float


@dataclass(frozen=True)
class Evaluation:
    """One method on one model.

    Attributes:
        case, model_seed, tier: of the model.
        family: of its case in the catalogue; `drawn` of the generator's programs, `own` of all others.
        manifest_sha256: of the model's manifest; None where it was not known.
        method: its name.
        parameters: of the method, as it ran.
        method_sha256: of the module's file, where the method is one's own.
        setting: how the model was run.
        level: whether the method scored edges, or nodes alone.
        edge: view -> how edges were ranked; empty where they have no scores. See `siit.evaluation.rating`.
        node: view -> how nodes were ranked.
        faithfulness: of circuits of the first parts; None where replacing every part does no harm.
        seconds: that the method took.
        forward, backward: examples that went through the model, and back.
        device: where it ran.
        version: of siit.
        places: level that was scored -> the place of every edge (`siit.graph.architecture.edges`), or node (embeddings,
            then components), by its score. The highest has 1; equal ones share a place, and none is left out. With the
            labels they give every number of `edge` and `node`.
        scores: the method's, by edge and node; empty where they were left out.
        code_sha256: of siit's own code that made it, see `siit.evaluation.code_digest`; None of earlier versions.
    """

    case: str
    model_seed: int
    tier: str
    family: str
    manifest_sha256: str | None
    method: str
    parameters: Mapping[str, Parameter]
    method_sha256: str | None
    setting: EvaluationSetting
    level: Level
    edge: Mapping[str, Rated]
    node: Mapping[str, Rated]
    faithfulness: Faithfulness | None
    seconds: float
    forward: int
    backward: int
    device: str
    version: str
    places: Mapping[Level, tuple[int, ...]]
    scores: Mapping[str, float]
    code_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Makes plain JSON of it."""
        return {"format": FORMAT, **to_plain(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """Reads what `to_json` made.

        Raises:
            ValueError: names the field, what was found and what is accepted.
        """
        if data.get("format") != FORMAT:
            raise ValueError(f"format: found {data.get('format')!r}, accepted is {FORMAT!r}")
        return from_plain(cls, {key: value for key, value in data.items() if key != "format"})
