"""`siit evaluate`: what it prints, writes and returns."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

import siit
from siit.__main__ import main as siit_main
from siit.evaluation.__main__ import main
from siit.evaluation.files import read_results
from tests.builders.discovery import DATA
from tests.builders.evaluations import two_models


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_models(tmp_path_factory.mktemp("bundle"))


def test_a_sweep(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = [str(root), "method=eap,hisp,exact", "ablation=resample,zero", "n_pairs=8", f"out={tmp_path}"]
    assert main(command) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("[1/12] ") and sum(line.startswith("[") for line in shown) == 12
    assert any(line.split()[:5] == ["eap", "permuted", "resample", "8", "2"] for line in shown)
    assert any("resample and zero: " in line for line in shown)
    results = read_results(tmp_path / "results.json")
    assert len(results.evaluations) == 12 and results.failed == ()
    assert {one.setting.ablation for one in results.evaluations} == {"resample", "zero"}
    assert main(command) == 0
    assert capsys.readouterr().out.count("(done before)") == 12
    assert read_results(tmp_path / "results.json") == results


def test_ones_own_method_is_found_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "own_here.py").write_text("def method(task):\n    raise RuntimeError('not yet')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main([str(DATA), "method=own_here:method,structure", "n_pairs=4"]) == 1
    shown = capsys.readouterr().out
    assert "own_here:method permuted resample seed=0: RuntimeError: not yet (own_here.py, line 2)" in shown
    assert "Failed: 1" in shown and len(read_results(tmp_path / "results" / "results.json").evaluations) == 1


def test_models_are_chosen_by_case_and_seed(root: Path, tmp_path: Path):
    assert main([str(root), "method=structure", "case=frac_prevs/seed-0", "n_pairs=4", f"out={tmp_path}"]) == 0
    assert [one.case for one in read_results(tmp_path / "results.json").evaluations] == ["frac_prevs"]


def test_models_that_are_not_certified_are_left_out(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    listed = [dataclasses.replace(one, certified=one.case == "frac_prevs") for one in siit.list_models(root)]
    monkeypatch.setattr("siit.loading.list_models", lambda bundle: listed)
    assert main([str(root), "method=structure", "n_pairs=4", f"out={tmp_path}"]) == 0
    assert "not certified: 1 of 2 models" in capsys.readouterr().out
    (one,) = read_results(tmp_path / "results.json").evaluations
    assert one.case == "frac_prevs"
    assert main([str(root), "method=structure", "case=previous_is_x", f"out={tmp_path}"]) == 2
    assert "accepted are frac_prevs, frac_prevs/seed-0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method=eap"], "the following arguments are required: BUNDLE"),
        (["{data}"], "the following arguments are required: --method"),
        (["{data}", "method=eap,epa"], "method: found 'epa'; did you mean eap"),
        (["{data}", "method=../eap"], "--method: found '../eap', accepted is name, or module:function"),
        (["{data}", "method=no_such_module:x"], "No module named 'no_such_module'"),
        (["{data}", "method=eap", "case=frac_prev"], "case: found 'frac_prev'; did you mean frac_prevs"),
        (["{data}", "method=eap", "ablation=none"], "--ablation: found 'none', accepted is resample, mean, zero"),
        (["{data}", "method=eap", "corruption=a/b"], "--corruption: found 'a/b', accepted is permuted, plain, or"),
        (["{data}", "method=eap", "n_pairs=0"], "--n-pairs: found '0', accepted is an integer from 1 to 999999999"),
        (["{data}", "method=eap", "seed=0,x"], "--seed: found 'x', accepted is an integer from 0 to 999999999"),
        (["{data}", "method=eap", "device=tpu9"], "--device: found 'tpu9'"),
        (["{data}", "method=eap", "methods=eap"], "methods=eap: no such option; did you mean --method?"),
        (["nowhere", "method=eap"], "bundle: found 'nowhere'"),
        (["{empty}", "method=eap"], "bundle: found no certified model in"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    given = [one.format(data=DATA, empty=tmp_path) for one in arguments]
    assert main([*given, f"out={tmp_path}/out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("siit.evaluate: error: ") and error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_found_before_a_method_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("siit.evaluation.sweep.sweep", None)
    assert main([str(DATA), "method=eap", f"out={tmp_path}/file"]) == 2
    assert capsys.readouterr().err == (
        f"siit.evaluate: error: out: found {tmp_path}/file, a file, accepted is a folder, which is made if need be\n"
    )


def test_an_interrupted_sweep_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "interrupts.py").write_text("def method(task):\n    raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert main([str(DATA), "method=structure,interrupts:method", "n_pairs=4", f"out={tmp_path / 'out'}"]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert len(list((tmp_path / "out").rglob("*.json"))) == 1


def test_without_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert siit_main(["evaluate", "anything"]) == 2
    assert "siit evaluate: found no scipy, accepted is what the extra 'evaluate' installs" in capsys.readouterr().err
