"""The command line: a bundle is verified from its files alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from siit.certificate import Certificate
from siit.certify import main
from tests.builders import handmade

torch.set_num_threads(1)


def test_certified(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(handmade.put(tmp_path))]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for words in ("previous_is_x, seed 0", "strict_edge", "≥ 0.999", "holds", "Certified: every claim holds", "an own"):
        assert words in captured.out
    assert "FAILS" not in captured.out


@pytest.mark.slow
def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(handmade.put(tmp_path)), "--json", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["certified"], found["findings"], found["seed"]) == (True, [], 3)
    assert Certificate.from_json(found["stored"]) == handmade.certificate()
    assert captured.err == ""


@pytest.mark.slow
def test_not_certified(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights = handmade.broken()
    measured = handmade.certify(weights, subsets=100).to_json()
    assert main([str(handmade.put(tmp_path, parameters=weights, certificate=measured))]) == 1
    out = capsys.readouterr().out
    for words in (
        "FAILS",
        "tok_embed->a1.h0<v>",
        "NOT certified:",
        "certificate: strict_edge: 0.75000 is 0.24900 below",
    ):
        assert words in out
    assert "says what the measurement does not" not in out


@pytest.mark.slow
def test_the_first_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Its claims are held against the measurement, and the verdict is that of every edge."""
    weaker = "certificate.json is of the first kind (edges between members only, subsets resampled); the verdict is"
    stored = handmade.first_kind(handmade.certificate())
    assert main([str(handmade.put(tmp_path, certificate=stored))]) == 0
    assert weaker in capsys.readouterr().out
    weights = handmade.untested()
    assert main([str(handmade.put(tmp_path, certificate=stored, parameters=weights))]) == 1
    out = capsys.readouterr().out
    for words in (weaker, "NOT certified:", "certificate: strict_edge: 0.50000 is 0.49900 below"):
        assert words in out
    assert "says what the measurement does not" not in out


@pytest.mark.slow
@pytest.mark.ci
def test_an_edge_into_an_off_circuit_node_that_matters(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A certificate that calls it harmless is a forgery."""
    assert main([str(handmade.put(tmp_path, parameters=handmade.untested()))]) == 1
    out = capsys.readouterr().out
    assert "certificate.json says what the measurement does not" in out and "tok_embed->m1" in out


@pytest.mark.slow
def test_what_only_the_adversary_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    stored = handmade.certify(handmade.parameters(handmade.MANY), handmade.MANY_CIRCUIT, subsets=100).to_json()
    model = {"config": handmade.MANY, "circuit": handmade.MANY_CIRCUIT, "certificate": stored}
    assert main([str(handmade.put(tmp_path, parameters=handmade.conspiring(), **model))]) == 1
    assert "certificate: strict_adversarial: 0.25000 is 0.74900 below 0.999" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.ci
def test_a_certificate_that_says_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(handmade.put(tmp_path, parameters=handmade.broken()))]) == 1
    out = capsys.readouterr().out
    assert "certificate.json says what the measurement does not: certified: measured False, stored True (and" in out
    less = {**handmade.certificate().to_json(), "accuracy": 0.9995}
    assert main([str(handmade.put(tmp_path, certificate=less)), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["check"] == "certificate"
    assert finding["message"].endswith("does not: accuracy: measured 1, stored 0.9995")


def test_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = handmade.put(tmp_path)
    (folder / "circuit.json").write_text("{}")
    for arguments in ([str(folder)], [str(folder), "--json"], [str(tmp_path / "nowhere")]):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("siit.certify: error: ") and captured.err.count("\n") == 1


def test_unknown_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path), "--device", "abacus"]) == 2
    assert "--device: found 'abacus'" in capsys.readouterr().err


def test_no_arguments(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "MODEL" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["x", "--seed", "-1"], ["x", "--seed", "2147483648"], ["x", "--sed=3"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("siit.certify: error: ") and captured.err.count("\n") == 1


def test_needs_no_training_code():
    code = (
        "import sys, siit.certify, siit.verification, siit.certificate.report, siit.bundle\n"
        "bad = {'siit.transformer', 'jax', 'tracr', 'haiku', 'hydra', 'pytorch_lightning', 'omegaconf'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
