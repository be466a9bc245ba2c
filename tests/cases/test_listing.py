"""`python -m siit.cases`."""

from __future__ import annotations

import json
import sys

import pytest

import tracr_cases
from siit import cases


def listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["siit.cases", *arguments])
    cases.main()
    return capsys.readouterr().out


@pytest.fixture
def two_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracr_cases, "names", lambda: ["frac_prevs", "histogram"])


@pytest.mark.usefixtures("two_cases")
def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    first, second, *others = json.loads(listed(monkeypatch, capsys, "--json"))
    assert first == {
        "name": "frac_prevs",
        "family": "counting",
        "tier": "composed",
        "interpbench_id": "3",
        "vocab": ["a", "b", "c", "x"],
        "max_len": 4,
        "output": "numerical",
        "circuit_nodes": 2,
        "circuit_edges": 5,
        "layers": 2,
        "description": "The fraction of 'x' among the tokens up to and including this position.",
    }
    assert second["name"] == "histogram"
    assert [other["name"] for other in others] == ["ioi", "ioi_next_token", "ioi_full"]
    assert {other["family"] for other in others} == {"ioi"}


@pytest.mark.usefixtures("two_cases")
def test_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "200")
    table = listed(monkeypatch, capsys)
    assert "5 cases" in table and "frac_prevs" in table and "numerical" in table


def test_exchanges(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    shares = json.loads(listed(monkeypatch, capsys, "--json", "--interchanges", "frac_prevs"))["frac_prevs"]
    assert shares["is_x"]["differs"] == shares["is_x"]["changes"] > 0.5
    assert shares["is_x->frac_prevs<v>"]["differs"] is None
    assert "is_x->frac_prevs<v>" in listed(monkeypatch, capsys, "--interchanges", "frac_prevs")


def test_unknown_cases(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        listed(monkeypatch, capsys, "--interchanges", "frac_prev")
    assert "found 'frac_prev'; nearest: frac_prevs" in capsys.readouterr().err
