"""The catalogue: what its programs are and compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tracr.compiler import rasp_to_graph
from tracr.rasp import rasp

import tracr_cases
from siit.bundle import Vocab
from siit.causal import Inputs
from siit.training.rasp.agreement import check_agreement_on
from siit.training.rasp.from_rasp import build_causal_model, sample_tokens
from tests.builders.programs import EVERY, causal_model, decoded, encode, own
from tracr_cases.catalogue import add, register

EXAMPLES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads(Path(__file__).with_name("examples.json").read_text())
}


PEERS = [name for name in tracr_cases.names() if name in EXAMPLES]
COMPILED = ("drop_repeats", "frac_prevs", "histogram", "palindrome_word", "sort_words_by_length", "tanh")
"""What is compiled by default, a few seconds each: numbers, counts, orders, None, and classes that are almost equal."""

NONE_ANSWERS = ("drop_repeats", "first_occurrences", "palindrome_word", "symmetric_word")


def test_names():
    assert tracr_cases.names() == sorted(tracr_cases.names())
    assert len(PEERS) == len(EXAMPLES) == 129


@pytest.mark.parametrize("name", PEERS)
def test_a_case_is_what_the_examples_say(name: str):
    case, expected = tracr_cases.get(name), EXAMPLES[name]
    assert list(case.vocab) == expected["vocab"]
    assert (case.name, case.max_len, case.min_len) == (name, expected["max_len"], 3)
    assert (case.causal, case.interpbench_id) == (expected["causal"], expected["interpbench_id"])
    assert case.family == expected["family"]
    assert causal_model(name).answer.kind == expected["output"]
    assert case.description.endswith(".")


def close(values: list[Any], *, exact: bool) -> list[Any]:
    """Other platforms' logarithms and sines differ by the last bit; the causal model's numbers are float32."""
    return [
        pytest.approx(value, rel=1e-12, abs=0 if exact else 1e-6) if isinstance(value, float) else value
        for value in values
    ]


@pytest.mark.parametrize("name", PEERS)
def test_examples(name: str):
    words = [word for word, _ in EXAMPLES[name]["examples"]]
    model = causal_model(name)
    for (word, expected), ours in zip(EXAMPLES[name]["examples"], decoded(model, *words), strict=True):
        assert tracr_cases.get(name).run(word) == close(expected, exact=True)
        assert ours == close(expected, exact=model.classes is not None)


@pytest.mark.parametrize("name", tracr_cases.names())
def test_every_variable_has_a_role(name: str):
    roles = tracr_cases.get(name).roles
    assert set(roles) == set(causal_model(name).variables)
    assert all(roles.values())


def check(name: str, samples: int, compiled: bool) -> None:
    """That all evaluations agree on sampled inputs and on the examples."""
    case, model = tracr_cases.get(name), causal_model(name)
    sampled = sample_tokens(case, samples, torch.Generator().manual_seed(5))
    examples = [word for word, _ in EXAMPLES[name]["examples"]] if name in EXAMPLES else []
    tokens = torch.cat([sampled, encode(model, *examples)]) if examples else sampled
    check_agreement_on(case, model, tokens, compiled=compiled)


@pytest.mark.parametrize("name", tracr_cases.names())
def test_rasp_and_the_causal_model_agree(name: str):
    check(name, samples=50, compiled=False)


@pytest.mark.parametrize("name", COMPILED)
def test_tracrs_compiled_model_agrees(name: str):
    check(name, samples=50, compiled=True)


@pytest.mark.parametrize("name", EVERY)
def test_all_agree_on_many_inputs(name: str):
    check(name, samples=500, compiled=True)


@pytest.mark.parametrize("name", NONE_ANSWERS)
def test_none_is_an_answer(name: str):
    """It is a class, the last one, and every position of every input is scored."""
    case, model = tracr_cases.get(name), causal_model(name)
    tokens = sample_tokens(case, 64, torch.Generator().manual_seed(0))
    found = model.run(Inputs(tokens))
    assert model.classes is not None and model.classes[-1] is None
    assert torch.equal(found.scored, tokens < len(case.vocab))
    none = found.output == len(model.classes) - 1
    assert 0 < none.sum() < found.scored.sum()


def test_none_is_an_answer_nowhere_else():
    assert tuple(name for name in PEERS if tracr_cases.get(name).none_is_answer) == NONE_ANSWERS


def test_classes_of_all_cases_survive_json():
    """Numbers come back as they were: `3` is no `3.0`, and no two of tanh's last classes become one."""
    for name in tracr_cases.names():
        classes = causal_model(name).classes
        if classes is not None:
            again = Vocab.from_json(json.loads(json.dumps(Vocab(("BOS",), 0, None, classes).to_json()))).classes
            assert [(type(value), value) for value in again or ()] == [(type(value), value) for value in classes]


def test_unknown_names():
    with pytest.raises(
        KeyError, match=r"found 'frac_prev'; did you mean frac_prevs.*\? `python -m siit.cases` lists all \d+ programs"
    ):
        tracr_cases.get("frac_prev")
    with pytest.raises(KeyError, match=r"case: found 'zzzzzzzz'; `python -m siit.cases` lists all"):
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
    with pytest.raises(ValueError, match="case 'identity' is registered twice"):
        add(tracr_cases.get("identity"))


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
