"""`siit cases`: the listing, its filters, and one case in full, all from data that the package ships."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tracr_cases
from siit import cases
from siit.catalogue import FILE, CaseInfo, catalogue, drawn_name, drawn_place, drawn_programs, find_case, is_drawn
from siit.graph.tiers import TIERS
from siit.training.describe import DRAWN_SEEDS, case_names, describe, describe_drawn, render
from siit.training.ioi.causal_models import IOI_CASES

AGAIN = "run `python -m siit.training.describe` after a change of a case"
SOME = ["absolute", "frac_prevs", "reverse", "ioi"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cases.main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cases.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err


def test_the_data_has_every_case():
    assert list(catalogue()) == case_names(), AGAIN
    for case in catalogue().values():
        if case.name not in IOI_CASES:
            written = tracr_cases.get(case.name)
            told = (case.family, case.interpbench_id, tuple(case.vocab), case.max_len, case.description)
            code = (written.family, written.interpbench_id, written.vocab, written.max_len, written.description)
            assert told == code, AGAIN
            roles = {variable.name: variable.role for variable in case.variables if variable.name in written.roles}
            assert roles == written.roles, AGAIN


@pytest.mark.parametrize("name", SOME)
def test_the_data_is_what_the_code_gives(name: str):
    assert find_case(name) == describe(name), AGAIN


@pytest.mark.slow
def test_all_the_data_is_what_the_code_gives():
    assert FILE.read_text(encoding="utf-8") == render([describe(name) for name in case_names()]), AGAIN


def test_the_generators_first_programs_are_known():
    assert list(drawn_programs()) == [drawn_name(tier, seed) for tier in TIERS for seed in range(DRAWN_SEEDS)], AGAIN
    assert all(drawn_name(*place) == name for name in drawn_programs() if (place := drawn_place(name)))
    assert all(map(is_drawn, drawn_programs())) and not is_drawn("random-deep-007") and drawn_place("reverse") is None


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
def test_the_generator_draws_what_is_known_of_it(tier: str):
    assert drawn_programs()[drawn_name(tier, 0)] == describe_drawn(tier, 0), AGAIN


def test_json(capsys: pytest.CaptureFixture[str]):
    listed = json.loads(printed(capsys, "--json"))
    assert [case["name"] for case in listed] == list(catalogue())
    found = next(case for case in listed if case["name"] == "frac_prevs")
    program, fingerprint = found.pop("program"), found.pop("fingerprint")
    assert "rasp.Aggregate(prefix(), is_x, default=0)" in program and len(fingerprint) == 16
    inputs = found.pop("inputs")
    assert (inputs["type"], inputs["min_len"], inputs["causal"], inputs["sampler"]) == ("tokens", 3, True, "uniform")
    first, answer = found.pop("variables")
    assert found == {
        "name": "frac_prevs",
        "family": "counting",
        "tier": "composed",
        "interpbench_id": "3",
        "vocab": ["a", "b", "c", "x"],
        "min_len": 3,
        "max_len": 4,
        "output": "numerical",
        "circuit_nodes": 2,
        "circuit_edges": 5,
        "layers": 2,
        "description": "The fraction of 'x' among the tokens up to and including this position.",
        "excluded": {},
    }
    assert (first["name"], first["place"], first["layer"], first["reads"]) == ("is_x", "MLP", 0, {"": ["tokens"]})
    assert (answer["place"], answer["layer"]) == ("head", 1)
    assert answer["reads"] == {"q": ["indices"], "k": ["indices"], "v": ["is_x"]}


@pytest.mark.parametrize("width", [None, 200, 110, 100, 80, 60, 40])
def test_names_are_whole_at_every_width(width: int | None):
    every = list(catalogue().values())
    lines = cases.listing(every, width).splitlines()
    assert [line.split()[0] for line in lines[1 : len(every) + 1]] == list(catalogue())
    assert width is None or max(map(len, lines)) <= width
    assert ("InterpBench" in lines[0]) is (width is None or width > 100)


def test_a_pipe_gets_everything(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "20")
    assert "InterpBench" in printed(capsys).splitlines()[0]


def names(text: str) -> set[str]:
    return {line.split()[0] for line in text.splitlines()[1:-2]}


def test_filters(capsys: pytest.CaptureFixture[str]):
    every = catalogue().values()
    assert names(printed(capsys, "--tier", "deep")) == {case.name for case in every if case.tier == "deep"}
    both = {case.name for case in every if case.tier in ("deep", "single") and case.family in ("ioi", "counting")}
    assert both and names(printed(capsys, "--tier", "deep,single", "--family", "ioi", "--family=counting")) == both
    assert names(printed(capsys, "tier=deep,single", "family=ioi,counting")) == both
    one = json.loads(printed(capsys, "reverse", "ioi", "--family", "ioi", "--json"))
    assert [case["name"] for case in one] == ["ioi"]


def test_what_is_wrong_is_said_with_a_suggestion(capsys: pytest.CaptureFixture[str]):
    assert "--tier: found 'dep'; did you mean deep? accepted are pointwise" in refused(capsys, "--tier", "dep")
    assert "did you mean counting" in refused(capsys, "--family", "ioi,countin")
    assert "found 'revers'; did you mean reverse" in refused(capsys, "revers")
    assert len(refused(capsys, "revers")) < 200
    assert "found none of 198 cases" in refused(capsys, "--tier", "pointwise", "--family", "ioi")
    assert "found 'frac_prev'; did you mean frac_prevs" in refused(capsys, "frac_prev", "--interchanges")
    assert "--interchanges: found no case" in refused(capsys, "--interchanges")


@pytest.mark.parametrize("name", [*SOME, "follow_two_pointers", "ioi_full"])
def test_one_case(name: str, capsys: pytest.CaptureFixture[str]):
    text, case = printed(capsys, name), find_case(name)
    assert case.description in text and f"siit train case={name}" in text and case.program.splitlines()[0] in text
    for variable in case.variables:
        assert variable.role in text
        assert not variable.in_circuit or f"[ {variable.name} " in text


def test_the_picture_of_a_case(capsys: pytest.CaptureFixture[str]):
    picture = [" ".join(line.split()) for line in printed(capsys, "reverse").splitlines()]
    start = picture.index("[ output ] <- reverse")
    assert picture[start : start + 7] == [
        "[ output ] <- reverse",
        "layer 2 [ reverse ] <- q mirrored k indices v tokens",
        "layer 1 [ mirrored ] <- length, indices",
        "layer 0 [ length ] <- length_share",
        "[ length_share ] <- k,v tokens",
        "[ tokens ]",
        "[ indices ]",
    ]


def test_interchanges(capsys: pytest.CaptureFixture[str]):
    shares = json.loads(printed(capsys, "--json", "--interchanges", "frac_prevs"))["frac_prevs"]
    assert shares["is_x"]["differs"] == shares["is_x"]["changes"] > 0.5
    assert shares["is_x->frac_prevs<v>"]["differs"] is None
    assert "is_x->frac_prevs<v>" in printed(capsys, "--interchanges", "frac_prevs")


def test_interchanges_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "tracr", None)
    assert "the extra 'train'" in refused(capsys, "--interchanges", "frac_prevs")


def test_the_listing_needs_neither_torch_nor_training():
    code = (
        "import sys; from siit import cases; cases.main([]); cases.main(['reverse']);"
        "print({'torch', 'tracr', 'jax', 'hydra'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_a_reader_that_goes_does_not_change_the_status():
    shell = f"{sys.executable} -m siit cases --json | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[", "0"] and done.stderr == ""


def test_tiers_are_those_of_graph():
    assert {case.tier for case in catalogue().values()} == set(TIERS)
    assert all(isinstance(case, CaseInfo) for case in catalogue().values())
