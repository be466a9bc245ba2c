"""Checks evaluations that nobody vouches for: their models are the release's, and their numbers those of the labels.

A submission has the place that a method gave to every edge and node. With the labels these give every ranking, so that
its numbers are computed anew here and compared. Faithfulness and times cannot be: of them only form and range are
checked. Nor can anybody tell from a file that the method's own code made the places; of siit's methods that is seen by
running them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass

from siit.discovery.task import Level
from siit.evaluation.bench import family
from siit.evaluation.faithfulness import SHARES, area
from siit.evaluation.overview import ALL
from siit.evaluation.rating import rated, scores_of_places, visible
from siit.evaluation.result import HEADLINE, Baseline, Evaluation, Faithfulness, Rated
from siit.leaderboard.entry import SETTING
from siit.leaderboard.release import Release, words
from siit.loading import LoadedCircuit
from siit.scoring import Score, score

_CLOSE = 1e-9


@dataclass(frozen=True, eq=False)
class Judged:
    """An evaluation, and what its places reach by the labels.

    Attributes:
        evaluation: of the headline views alone, without scores.
        labels: of its model.
        edge: how its edges are ranked in the headline view; None where it scored nodes alone.
        node: how its nodes are ranked.
    """

    evaluation: Evaluation
    labels: LoadedCircuit
    edge: Score | None
    node: Score


def judge(one: Evaluation, release: Release) -> Judged:
    """Checks an evaluation, and ranks its places by the labels.

    Args:
        one: an evaluation under the board's setting.
        release: has its model.

    Raises:
        ValueError: names what was found and what is accepted.
    """
    labels = _model(one, release)
    for name, value in (("seconds", one.seconds), ("forward", one.forward), ("backward", one.backward)):
        if value < 0:
            raise ValueError(f"{name}: found {value}, accepted is 0 or more")
    if one.faithfulness is not None:
        _check_faithfulness(one.faithfulness)
    if one.level not in one.places or not {*one.places} <= {"edge", "node"}:
        raise ValueError(f"places: found those of {sorted(one.places)}, accepted are those of {one.level}s")
    found = scores_of_places(one.places, labels.config)
    by_node = found.get("node", found.get("edge", {}))
    edge = score(found["edge"], labels, grades=visible(one.setting.corruption)) if "edge" in found else None
    node = score(by_node, labels, level="node")
    of_level: list[tuple[Level, str, Score | None]] = [("edge", HEADLINE, edge), ("node", ALL, node)]
    for level, view, ranked in of_level:
        given = getattr(one, level)
        if (view in given) != (ranked is not None):
            raise ValueError(f"{level}: found the views {[*given]}, accepted is {view!r} where there are places alone")
        if ranked is not None:
            _same_numbers(f"{level}.{view}", given[view], rated(ranked))
    kept = dataclasses.replace(
        one, edge={} if edge is None else {HEADLINE: rated(edge)}, node={ALL: rated(node)}, scores={}
    )
    return Judged(kept, labels, edge, node)


def judge_all(evaluations: Iterable[Evaluation], release: Release) -> list[Judged]:
    """Judges evaluations; an error names the one.

    Raises:
        ValueError: see `judge`.
    """
    judged = []
    for one in evaluations:
        try:
            judged.append(judge(one, release))
        except ValueError as error:
            model = words((one.case, one.model_seed))
            raise ValueError(f"{one.method} on {model}, seed {one.setting.seed}: {error}") from error
    return judged


def is_on_board(one: Evaluation) -> bool:
    """Tells whether an evaluation is of the board's setting, whatever its seed."""
    return dataclasses.replace(one.setting, seed=SETTING.seed) == SETTING


def _model(one: Evaluation, release: Release) -> LoadedCircuit:
    model = (one.case, one.model_seed)
    if model not in release.entries:
        raise ValueError(f"model: found {words(model)}, accepted are the certified ones of the bundle")
    _same("manifest_sha256", one.manifest_sha256, release.entries[model].manifest_sha256)
    labels = release.labels(model)
    _same("tier", one.tier, labels.tier)
    _same("family", one.family, family(one.case))
    return labels


def _check_faithfulness(found: Faithfulness) -> None:
    _same("faithfulness.curve: shares", [point.share for point in found.curve], [*SHARES])
    for point in (*found.curve, found.at_size):
        if not 0 <= point.accuracy <= 1 or point.parts < 0:
            raise ValueError(f"faithfulness.curve: found {point}, accepted is a share from 0 to 1, and 0 parts or more")
    values = [point.faithfulness for point in found.curve]
    for name, given, accepted in (
        ("cpr", found.cpr, area(SHARES, values)),
        ("cmd", found.cmd, area(SHARES, [abs(1 - value) for value in values])),
    ):
        _close(f"faithfulness.{name}", given, accepted, "the area that its curve has")


def _same_numbers(where: str, given: Rated, computed: Rated) -> None:
    """Compares numbers with those that the labels give; what random orders exceed is drawn, and left out."""
    for field in dataclasses.fields(Baseline):
        name = field.name
        _close(f"{where}.{name}", getattr(given, name), getattr(computed, name), "what its places have")
        null = getattr(computed.structure, name)
        _close(f"{where}.structure.{name}", getattr(given.structure, name), null, "what the labels give")
    for name in ("positives", "negatives"):
        _same(f"{where}.{name}", getattr(given, name), getattr(computed, name))


def _close(where: str, found: float, accepted: float, why: str) -> None:
    if not math.isclose(found, accepted, rel_tol=_CLOSE, abs_tol=_CLOSE):
        raise ValueError(f"{where}: found {found}, accepted is {accepted}, {why}")


def _same(where: str, found: object, accepted: object) -> None:
    if found != accepted:
        raise ValueError(f"{where}: found {found!r}, accepted is {accepted!r}")
