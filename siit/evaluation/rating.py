"""Rates a method's scores against a model's labels, in several views, each beside the random and the structure null.

Of edges:

- `visible`, the headline: those on the circuit that the corruption can show, against those certified to be off it.
  It can show the grade `resampled`, and `permuted` where it permutes positions;
- `visible_no_embeddings`: the same without the embeddings' edges;
- `slot_q`, `slot_k`, `slot_v`, `slot_none`: the same of one slot;
- `resampled`, `permuted`, `zero`: the circuit's edges of one grade, against the same (`siit.scoring.grades`);
- `all`: every edge that has a label, as `siit.score` ranks them.

Of nodes: `all`, and `no_embeddings`. A view that has nothing to tell apart is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from siit._text import listed, shortened
from siit.discovery.task import Level
from siit.evaluation.result import HEADLINE, PERMUTED, Baseline, Rated
from siit.graph.architecture import EMBEDDINGS, LOGITS, Edge, ModelConfig, components, edges
from siit.loading import LoadedCircuit
from siit.scoring import Grade, Score, grades, score
from siit.scoring.ranking import Chance, Ranking, chance
from siit.scoring.score import INPUT, plain_scores

_LARGEST = sys.float_info.max


def complete(scores: Any, config: ModelConfig) -> dict[Level, dict[str, float]]:
    """Reads a method's scores: of every edge, of every node that others read, or of both.

    A score of `input` is one of both embeddings. An infinite score becomes the largest number there is.

    Args:
        scores: what a method gave; a mapping by the names that `siit.score` takes, slots told apart.
        config: the architecture.

    Raises:
        ValueError: names the scores that are missing, unknown, given twice or no number.
    """
    if not isinstance(scores, Mapping):
        raise ValueError(f"method: found a {type(scores).__name__}, accepted are scores by name: a mapping")
    values = plain_scores(scores, config)
    found: dict[Level, dict[str, float]] = {}
    known = {LOGITS}
    for level, parts in _parts(config).items():
        own = {str(part): _own_name(part, values) for part in parts}
        known |= {*own.values()}
        missing = [name for name, given in own.items() if given not in values]
        if len(missing) < len(own) and missing:
            raise ValueError(f"method: found no score of {listed(missing)}, accepted is one of every {level}")
        if not missing:
            found[level] = {name: min(max(values[given], -_LARGEST), _LARGEST) for name, given in own.items()}
    unknown = [name for name in values if name not in known]
    if unknown or not found:
        what = listed(unknown) if unknown else "no scores"
        raise ValueError(f"method: found {what}, accepted are scores of every edge, or node, of task.edges, task.nodes")
    return found


def places(scores: Mapping[str, float]) -> tuple[int, ...]:
    """Numbers scores by their size, in the order of `scores`: 1 for the highest; equal ones share a number."""
    order = {value: place for place, value in enumerate(sorted({*scores.values()}, reverse=True), 1)}
    return tuple(order[value] for value in scores.values())


def scores_of_places(found: Mapping[Level, Sequence[int]], config: ModelConfig) -> dict[Level, dict[str, float]]:
    """Makes scores of places, which every ranking takes for those that the places are of; of `complete` the inverse.

    Raises:
        ValueError: names the level of which not every edge, or node, has a place, or a place is left out.
    """
    made: dict[Level, dict[str, float]] = {}
    for level, parts in _parts(config).items():
        if level not in found:
            continue
        given = found[level]
        if len(given) != len(parts):
            raise ValueError(f"places.{level}: found {len(given)}, accepted are {len(parts)}: one of every {level}")
        used = sorted({*given})
        if used != [*range(1, len(used) + 1)]:
            raise ValueError(f"places.{level}: found {shortened(used)}, accepted are all from 1 on")
        made[level] = {str(part): -float(place) for part, place in zip(parts, given, strict=True)}
    return made


def visible(corruption: str) -> tuple[Grade, ...]:
    """Lists the grades of edges that a corruption can show, and that of those certified to be off the circuit."""
    return ("resampled", "permuted", "off") if corruption == PERMUTED else ("resampled", "off")


def rate(
    model: LoadedCircuit, found: Mapping[Level, Mapping[str, float]], corruption: str
) -> dict[Level, dict[str, Rated]]:
    """Rates scores.

    Args:
        model: with the labels.
        found: of `complete`.
        corruption: see `siit.evaluation.EvaluationSetting`.

    Raises:
        ValueError: the model has no edge on the circuit that the corruption shows, or none off it.
    """
    by_node = found.get("node", found.get("edge", {}))
    return {
        "edge": _edges(model, found["edge"], visible(corruption)) if "edge" in found else {},
        "node": {
            name: rated(score(by_node, model, level="node", embeddings=embeddings))
            for name, embeddings in (("all", True), ("no_embeddings", False))
        },
    }


def _edges(model: LoadedCircuit, scores: Mapping[str, float], seen: Sequence[Grade]) -> dict[str, Rated]:
    graded = grades(model)
    there = set(graded.values())
    if "off" not in there:
        raise ValueError(
            "certificate: found no edge that is certified to be off the circuit, accepted is one of which some are: of "
            "a model that is certified, by today's measurement of every edge"
        )
    if not there & {*seen} - {"off"}:
        raise ValueError(f"circuit: found no edge on it that this corruption shows, accepted are some of {seen[:-1]}")
    headline = score(scores, model, grades=seen)
    views = {HEADLINE: rated(headline)}
    for slot, ranking in headline.by_slot.items():
        null = chance(ranking.positives, ranking.negatives)
        views[f"slot_{slot or 'none'}"] = _rated(ranking, null, headline.structure_by_slot[slot])
    plain = {grade for edge, grade in graded.items() if edge.sender not in EMBEDDINGS}
    if "off" in plain and plain & {*seen} - {"off"}:
        views[f"{HEADLINE}_no_embeddings"] = rated(score(scores, model, grades=seen, embeddings=False))
    of_grade: tuple[Grade, ...] = ("resampled", "permuted", "zero")
    for grade in of_grade:
        if grade in there:
            views[grade] = rated(score(scores, model, grades=(grade, "off")))
    views["all"] = rated(score(scores, model))
    return views


def rated(found: Score) -> Rated:
    """Takes the numbers of a score."""
    return _rated(found, found.random, found.structure)


def _rated(ranking: Ranking, random: Chance, structure: Ranking) -> Rated:
    return Rated(
        **vars(Baseline.of(ranking)),
        positives=ranking.positives,
        negatives=ranking.negatives,
        random=random,
        structure=Baseline.of(structure),
    )


def _parts(config: ModelConfig) -> dict[Level, list[Edge] | list[str]]:
    return {"edge": list(edges(config)), "node": [*EMBEDDINGS, *components(config)]}


def _own_name(part: Edge | str, values: Mapping[str, float]) -> str:
    """Finds the name under which a part has a score: its own, or, of an embedding, that of both."""
    sender = part.sender if isinstance(part, Edge) else part
    if sender in EMBEDDINGS:
        merged = str(Edge(INPUT, part.receiver, part.slot)) if isinstance(part, Edge) else INPUT
        if merged in values:
            return merged
    return str(part)
