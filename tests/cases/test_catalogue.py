"""The catalogue: what its programs are and compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tracr.compiler import rasp_to_graph
from tracr.rasp import rasp

import tracr_cases
from siit.causal.agreement import check_agreement
from siit.causal.from_rasp import build_causal_model
from tests.cases.programs import causal_model, decoded, own
from tracr_cases.catalogue import register

EXAMPLES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads(Path(__file__).with_name("examples.json").read_text())
}


PEERS = [name for name in tracr_cases.names() if name in EXAMPLES]


def test_names():
    assert tracr_cases.names() == sorted(tracr_cases.names())


@pytest.mark.parametrize("name", PEERS)
def test_a_case_is_what_the_examples_say(name: str):
    case, expected = tracr_cases.get(name), EXAMPLES[name]
    assert list(case.vocab) == expected["vocab"]
    assert (case.name, case.max_len, case.min_len) == (name, expected["max_len"], 3)
    assert (case.causal, case.interpbench_id) == (expected["causal"], expected["interpbench_id"])
    assert case.family == expected["family"]
    assert causal_model(name).answer.kind == expected["output"]
    assert case.description.endswith(".")


@pytest.mark.parametrize("name", PEERS)
def test_examples(name: str):
    words = [word for word, _ in EXAMPLES[name]["examples"]]
    found = decoded(causal_model(name), *words)
    for (word, expected), ours in zip(EXAMPLES[name]["examples"], found, strict=True):
        assert tracr_cases.get(name).run(word) == expected
        assert ours == [value if value is None else pytest.approx(value, abs=1e-6) for value in expected]


@pytest.mark.parametrize("name", tracr_cases.names())
def test_every_variable_has_a_role(name: str):
    assert set(tracr_cases.get(name).roles) == set(causal_model(name).variables)


@pytest.mark.parametrize("name", tracr_cases.names())
def test_rasp_and_the_causal_model_agree(name: str):
    check_agreement(tracr_cases.get(name), causal_model(name), samples=300, seed=5, compiled=False)


def test_tracrs_compiled_model_agrees():
    check_agreement(tracr_cases.get("frac_prevs"), causal_model("frac_prevs"), samples=48, seed=6)


@pytest.mark.slow
@pytest.mark.parametrize("name", tracr_cases.names())
def test_all_agree_on_many_inputs(name: str):
    check_agreement(tracr_cases.get(name), causal_model(name), samples=500, seed=7)


def test_unknown_names():
    with pytest.raises(KeyError, match=r"found 'frac_prev'; nearest: frac_prevs.*; accepted: .*detect_abc.*reverse"):
        tracr_cases.get("frac_prev")
    with pytest.raises(KeyError, match="case: found 'zzzzzzzz'; accepted: "):
        tracr_cases.get("zzzzzzzz")


def test_run_refuses_what_is_no_input():
    case = tracr_cases.get("frac_prevs")
    assert case.run("xax") == case.run(["x", "a", "x"]) == [1, 0.5, pytest.approx(2 / 3)]
    with pytest.raises(ValueError, match=r"frac_prevs: token 'z' is not in its vocabulary \['a', 'b', 'c', 'x'\]"):
        case.run("xaz")
    for word in ("xx", "xxxxx", ""):
        with pytest.raises(ValueError, match=f"frac_prevs: found {len(word)} tokens, accepted are 3 to 4"):
            case.run(word)


def test_undefined_outputs_are_none():
    assert tracr_cases.get("detect_abc").run("abc") == [None, None, True]


def test_a_name_is_registered_once():
    def reverse() -> rasp.SOp:
        return rasp.Map(lambda x: x, rasp.tokens)

    tracr_cases.names()
    with pytest.raises(ValueError, match="case 'reverse' is registered twice"):
        register(vocab="ab", max_len=4, description="")(reverse)


SHARED = rasp.Aggregate(rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ), rasp.tokens)


def test_expressions_shared_between_programs_are_told_apart():
    """Tracr numbers expressions when it first meets them; two must never get one number."""

    def make() -> rasp.SOp:
        first = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == 0)
        return rasp.SequenceMap(lambda x, y: x == y, SHARED, rasp.Aggregate(first, rasp.tokens))

    case = own(make, vocab=range(3))
    graphs = [rasp_to_graph.extract_rasp_graph(case.expression()).graph for _ in range(3)]
    assert [sorted(graph.nodes) for graph in graphs] == 3 * [sorted(graphs[0].nodes)]
    assert len(graphs[0].nodes) == 7
    assert decoded(build_causal_model(case), [1, 1, 0]) == [[True, True, False]]
