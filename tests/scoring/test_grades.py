"""Grades of labels: what certificates say of each edge, and scores of some grades."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from typing import Any

import pytest

import siit
from siit.bundle import Bundle
from siit.graph.architecture import Edge
from siit.scoring import Grade, grades
from tests.builders import handmade
from tests.builders.discovery import certified


def test_what_depends_on_positions_needs_permuted_ones():
    found = grades(certified())
    assert Counter(found.values()) == {"off": 132, "resampled": 3, "permuted": 2}
    assert {str(edge) for edge, grade in found.items() if grade == "permuted"} == {
        "pos_embed->a1.h0<q>",
        "pos_embed->a1.h0<k>",
    }


def changed(**certificate: Any) -> Bundle:
    bundle = handmade.bundle()
    data = copy.deepcopy(dict(bundle.certificate))
    for path, value in certificate.items():
        *way, last = path.split("/")
        place = data
        for key in way:
            place = place[key]
        place[last] = value
    return dataclasses.replace(bundle, certificate=data)


def test_effects_decide():
    edge = Edge("m0", "a1.h0", "v")
    assert grades(handmade.bundle())[edge] == "resampled"
    by_zero = {"details/effect/edges/is_x->prev<v>/by": "zero"}
    assert grades(changed(**by_zero))[edge] == "zero"
    assert grades(changed(**{"effect/edges/is_x->prev<v>": 0.0}))[edge] == "unlabelled"


def test_a_variable_of_positions_only():
    circuit = dataclasses.replace(
        handmade.CIRCUIT, variables={**handmade.CIRCUIT.variables, "is_x": {"parents": {"in": ["indices"]}}}
    )
    found = grades(dataclasses.replace(handmade.bundle(), circuit=circuit))
    assert found[Edge("m0", "a1.h0", "v")] == "permuted"
    assert found[Edge("tok_embed", "m0")] == "resampled"


@pytest.mark.parametrize(("last", "grade"), [("indices", "permuted"), ("v0", "permuted"), ("tokens", "resampled")])
def test_many_ways_to_an_input(last: str, grade: Grade):
    """Each variable reads the one before it twice; a cycle ends too."""
    variables = {
        f"v{number}": {"parents": {"q": [f"v{number - 1}"], "k": [f"v{number - 1}"]}} for number in range(1, 60)
    }
    chain = {"v0": {"parents": {"in": [last]}}, **variables, "is_x": {"parents": {"in": ["v59"]}}}
    circuit = dataclasses.replace(handmade.CIRCUIT, variables={**handmade.CIRCUIT.variables, **chain})
    found = grades(dataclasses.replace(handmade.bundle(), circuit=circuit))
    assert found[Edge("m0", "a1.h0", "v")] == grade


def test_an_edge_off_the_circuit_must_reach_the_bar():
    off = Edge("tok_embed", "logits")
    assert grades(handmade.bundle())[off] == "off"
    assert grades(changed(**{f"details/strict_edge/{off}": 0.999}))[off] == "off"
    assert grades(changed(**{f"details/strict_edge/{off}": 0.998}))[off] == "unlabelled"


def test_what_carries_positions_and_tokens_is_resampled():
    edge, both = Edge("tok_embed", "m0"), "indices+tokens->is_x"
    circuit = dataclasses.replace(handmade.CIRCUIT, carries={**handmade.CIRCUIT.carries, edge: both})
    data = copy.deepcopy(dict(handmade.bundle().certificate))
    for place in (data["effect"]["edges"], data["details"]["effect"]["edges"]):
        place[both] = place["tokens->is_x"]
    assert grades(dataclasses.replace(handmade.bundle(), circuit=circuit, certificate=data))[edge] == "resampled"


def test_certificates_of_the_first_kind_measure_some():
    bundle = handmade.bundle()
    first = dataclasses.replace(bundle, certificate=handmade.first_kind(handmade.certificate()))
    counted = Counter(grades(first).values())
    assert counted["off"] == len(handmade.CIRCUIT.off_edges_of_members)
    assert counted["unlabelled"] == len(handmade.CIRCUIT.off_edges) - counted["off"] > 0


def test_no_effects():
    with pytest.raises(ValueError, match="certificate: found no 'effect', accepted is one whose effects"):
        grades(dataclasses.replace(handmade.bundle(), certificate={"details": {}}))


def test_scores_of_some_grades():
    model = certified()
    labels = {str(edge): float(edge in model.circuit.carries) for edge in grades(model)}
    # By hand: the best edge off the circuit before the two that only permuted positions show.
    labels |= {"pos_embed->a1.h0<q>": 0.2, "pos_embed->a1.h0<k>": 0.2, "m1->logits": 0.5}
    seen: tuple[Grade, ...] = ("resampled", "off")
    found = siit.score(labels, model, grades=seen)
    assert (found.average_precision, found.positives, found.unlabelled) == (1.0, 3, 2)
    assert siit.score(labels, model).average_precision == pytest.approx((3 + 4 / 5 + 5 / 6) / 5)
    with pytest.raises(ValueError, match=r"grades: found \['resampled', 'off'\], accepted are some of resampled"):
        siit.score(labels, model, grades=seen, level="node")
    with pytest.raises(ValueError, match="grades: found"):
        siit.score(labels, model.circuit, grades=seen)
