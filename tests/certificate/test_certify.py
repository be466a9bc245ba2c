"""The command line: a bundle is measured again from its files alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from siit.bundle import Bundle, Vocab, write_bundle
from siit.certificate import Answers, Certificate
from siit.certify import main
from tests.builders import handmade
from tests.builders.handmade import TOKEN, certify, parameters

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certify(subsets=100)


def put(root: Path, certificate: dict[str, Any], weights: dict[str, torch.Tensor] | None = None) -> Path:
    bundle = Bundle(
        config=handmade.CONFIG,
        case="previous_is_x",
        seed=0,
        answers=Answers("categorical", None),
        parameters=parameters() if weights is None else weights,
        vocab=Vocab(("a", "x", "BOS"), 2, None, (False, True)),
        circuit=handmade.CIRCUIT,
        causal_model={"format": "siit-causal-model/1"},
        evidence=handmade.evidence(),
        exhaustive=True,
        certificate=certificate,
        train_yaml="case: previous_is_x\n",
    )
    return write_bundle(root, bundle, allow_uncertified=True)


def test_certified(tmp_path: Path, certificate: Certificate, capsys: pytest.CaptureFixture[str]):
    folder = put(tmp_path, certificate.to_json())
    assert main([str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for words in ("previous_is_x, seed 0", "strict_edge", "≥ 0.999", "holds", "Certified: every bar holds.", "agrees"):
        assert words in captured.out
    assert "FAILS" not in captured.out


def test_json(tmp_path: Path, certificate: Certificate, capsys: pytest.CaptureFixture[str]):
    folder = put(tmp_path, certificate.to_json())
    assert main([str(folder), "--json"]) == 0
    captured = capsys.readouterr()
    assert Certificate.from_json(json.loads(captured.out)) == certificate
    assert captured.err == ""


def test_not_certified(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights = parameters()
    weights["blocks.1.attn.W_V"][0, TOKEN + 1, 0] = 0.8
    folder = put(tmp_path, certify(weights, subsets=100).to_json(), weights)
    assert main([str(folder)]) == 1
    out = capsys.readouterr().out
    for words in ("FAILS", "tok_embed->a1.h0<v>", "NOT certified:", "strict_edge: 0.75000 is 0.24900 below", "agrees"):
        assert words in out


def test_a_certificate_that_says_something_else(
    tmp_path: Path, certificate: Certificate, capsys: pytest.CaptureFixture[str]
):
    weights = parameters()
    weights["blocks.1.attn.W_V"][0, TOKEN + 1, 0] = 0.8
    folder = put(tmp_path, certificate.to_json(), weights)
    assert main([str(folder)]) == 1
    out = capsys.readouterr().out
    assert "The stored certificate DISAGREES in" in out
    assert "strict_edge: measured 0.75, stored 1" in out
    boast = {**certificate.to_json(), "accuracy": 0.99}
    folder = put(tmp_path, boast)
    assert main([str(folder), "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["certified"]
    assert captured.err == "siit.certify: the stored certificate disagrees: accuracy: measured 1, stored 0.99\n"


def test_damaged(tmp_path: Path, certificate: Certificate, capsys: pytest.CaptureFixture[str]):
    folder = put(tmp_path, certificate.to_json())
    (folder / "circuit.json").write_text("{}")
    for arguments in ([str(folder)], [str(folder), "--json"], [str(tmp_path / "nowhere")]):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("siit.certify: error: ") and captured.err.count("\n") == 1


def test_unknown_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(tmp_path), "--device", "abacus"]) == 2
    assert "--device: found 'abacus'" in capsys.readouterr().err


def test_bad_usage(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "MODEL" in capsys.readouterr().out


def test_needs_no_training_code():
    code = (
        "import sys, siit.certify, siit.certificate, siit.certificate.report, siit.bundle\n"
        "bad = {'siit.transformer', 'jax', 'tracr', 'haiku', 'hydra', 'pytorch_lightning', 'omegaconf'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
