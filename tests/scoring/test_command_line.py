"""`siit score`: a file of scores against a model's labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import siit
from siit.graph.architecture import components, edges
from siit.scoring.__main__ import main, read_scores
from tests.builders import handmade

CIRCUIT = handmade.CIRCUIT
RIGHT = {str(edge): float(edge in CIRCUIT.carries) for edge in edges(CIRCUIT.config)}
SOME = {name: (7 * number % 11) / 11 for number, name in enumerate(RIGHT)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade.put(tmp_path_factory.mktemp("bundle"))


def write(folder: Path, data: Any) -> str:
    path = folder / "scores.json"
    path.write_text(json.dumps(data))
    return str(path)


def test_the_numbers_are_those_of_score(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    expected = siit.score(SOME, handmade.bundle())
    assert main([str(model), write(tmp_path, SOME), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["roc_auc"] == expected.roc_auc and found["average_precision"] == expected.average_precision
    assert found["structure"]["roc_auc"] == expected.structure.roc_auc
    assert found["random"]["average_precision"] == expected.random.average_precision
    assert set(found["by_slot"]) == {slot or "" for slot in expected.by_slot}
    assert main([str(model), write(tmp_path, SOME)]) == 0
    shown = capsys.readouterr().out
    assert f"{expected.positives} on the circuit, {expected.negatives} off it" in shown
    assert f"{expected.roc_auc:.3f}" in shown and "random order" in shown and "structure alone" in shown


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--no-slots"], {"slots": False}),
        (["no_slots=false"], {}),
        (["no_slots=true"], {"slots": False}),
        (["slots=false", "embeddings=true"], {"slots": False}),
        (["--no-embeddings"], {"embeddings": False}),
        (["--level", "node"], {"level": "node"}),
        (["level=node", "--no-embeddings"], {"level": "node", "embeddings": False}),
    ],
)
def test_options(
    flags: list[str], options: dict[str, Any], model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(model), write(tmp_path, SOME), "--json", *flags]) == 0
    expected = siit.score(SOME, handmade.bundle(), **options)
    found = json.loads(capsys.readouterr().out)
    assert (found["roc_auc"], found["positives"]) == (expected.roc_auc, expected.positives)


def test_a_graph_of_eap_ig(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The labels themselves, in that format, are a perfect method."""
    assert main([str(model), write(tmp_path, CIRCUIT.to_graph_json()), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["roc_auc"] == 1.0


def test_scores_of_nodes(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    scores = {node: float(node in CIRCUIT.unit_of) for node in components(CIRCUIT.config)}
    assert main([str(model), write(tmp_path, scores), "--level=node", "--no-embeddings", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["roc_auc"] == 1.0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1, 2], "SCORES: found a list in "),
        ({"edges": {"m0->m1": {}}}, "SCORES: edges: found no score of m0->m1, accepted is one for each"),
        ({**RIGHT, "m7->m9": 1.0}, "scores: found m7->m9, accepted are edges of the model"),
        ({}, "scores: found none for "),
    ],
)
def test_scores_that_cannot_be(
    data: Any, message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(model), write(tmp_path, data)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("siit.score: error: ") and captured.err.count("\n") == 1
    assert message in captured.err


def test_files_that_are_not_there(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(model), str(tmp_path / "none.json")]) == 2
    assert "SCORES: found" in capsys.readouterr().err
    assert main([str(model.parent), write(tmp_path, SOME)]) == 2
    assert f"did you mean {model}?" in capsys.readouterr().err
    assert main([str(model), write(tmp_path, SOME), "--level", "nod"]) == 2
    assert "--level: found 'nod'; did you mean node?" in capsys.readouterr().err


def test_plain_scores_may_have_any_names(tmp_path: Path):
    assert read_scores(Path(write(tmp_path, SOME))) == SOME
