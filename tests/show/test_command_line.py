"""`siit show`: its files, and one line for each thing that can go wrong, with nothing half-written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from siit.show import files
from siit.show.__main__ import ShowOptions, main, parse
from tests.builders import handmade

_NAMES = ["circuit.png", "attention.png", "effects.png", "index.html"]
_QUICK = "pairs=2"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade.put(tmp_path_factory.mktemp("bundle"))


def test_into_the_default_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in model.iterdir())
    assert main([str(model), _QUICK]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [f"show/previous_is_x-seed-0/{name}" for name in _NAMES]
    assert captured.err == ""
    out = tmp_path / "show/previous_is_x-seed-0"
    assert sorted(path.name for path in out.iterdir()) == sorted(_NAMES)
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in _NAMES[:3])
    assert sorted(path.name for path in model.iterdir()) == before


def test_again_into_a_folder_with_other_files(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "index.html").write_text("old")
    assert main([str(model), _QUICK, f"out={tmp_path}", "example=255", "replace=zero", "device=cpu"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*_NAMES, "notes.txt"])
    assert "base of pair 255" in (tmp_path / "index.html").read_text()
    assert main([str(model), _QUICK, f"out={tmp_path}", "tokens=x,a,x,x"]) == 0
    assert "tokens given" in (tmp_path / "index.html").read_text()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["example=256"], "example: found 256, accepted are 0 to 255, the pairs of the evidence"),
        (["tokens=x,y,x,x"], "tokens: found 'y', accepted are 'a', 'x'"),
        (["tokens=x"], "tokens: found 1, accepted are exactly 4"),
        (["device=abacus"], "device: found 'abacus'"),
        (["example=-1"], "example: found '-1', accepted is an integer from 0 to 999999999"),
        (["pairs=0"], "pairs: found '0', accepted is an integer from 1 to 999999999"),
        (["pairs=²"], "pairs: found '²'"),
        (["replace=mean"], "replace: found 'mean'; accepted are source, zero"),
        (["example=1", "tokens=x"], "example, tokens: found both, accepted is one of them"),
        (["--ouy=x"], "--ouy=x: no such option; did you mean --out? accepted are --help, --out, --example"),
        (["out="], "out: found nothing after the ="),
    ],
)
def test_wrong_arguments(
    arguments: list[str],
    message: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    _fails([str(model), *arguments], message, capsys)
    assert not any(tmp_path.iterdir())


def _fails(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("siit.show: error: ") and captured.err.count("\n") == 1
    assert message in captured.err


def test_no_model_and_a_damaged_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    _fails([str(tmp_path / "nowhere"), f"out={out}"], "folder: found", capsys)
    _fails([f"out={out}"], "the following arguments are required: MODEL", capsys)
    _fails(["--pairs", str(tmp_path)], "--pairs: found", capsys)
    model = handmade.put(tmp_path / "bundle")
    (model / "circuit.json").write_text("{}")
    _fails([str(model), f"out={out}"], "circuit.json", capsys)
    (model / "manifest.json").unlink()
    _fails([str(model), f"out={out}"], "manifest.json", capsys)
    assert not out.exists()


def test_out_that_cannot_or_may_not_be_written(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    before = sorted(path.name for path in model.iterdir())
    for out in (model, model / "show"):
        _fails([str(model), f"out={out}"], f"out: found {out}, inside the model's folder {model}", capsys)
    assert sorted(path.name for path in model.iterdir()) == before
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (file, file / "below"):
        _fails([str(model), f"out={out}"], f"out: found {file}, a file, accepted is a folder", capsys)
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_out_without_permission(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tmp_path.chmod(0o500)
    _fails([str(model), f"out={tmp_path / 'new'}"], f"out: found {tmp_path}, where nothing can be written", capsys)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old = {"a.png": b"old", "index.html": b"old"}
    files.put_files(tmp_path / "old", old)
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "index.html" in self.name:
            write(self, data[:1])
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    for folder in (tmp_path / "old", tmp_path / "new/deeper"):
        with pytest.raises(
            ValueError, match=r"out: found .* \(No space left on device\), accepted is a folder that can"
        ):
            files.put_files(folder, {"a.png": b"new", "index.html": b"new"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == old
    assert not (tmp_path / "new").exists()


def test_without_matplotlib(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    _fails(
        [str(model), f"out={tmp_path / 'out'}"], "accepted is what the extra 'show' installs: `pip install '", capsys
    )
    assert not (tmp_path / "out").exists()


def test_flags_and_keys_say_the_same(model: Path):
    keys = ["out=x", "example=3", "pairs=2", "replace=zero", "device=cpu"]
    flags = ["--out", "x", "--example", "3", "--pairs", "2", "--replace", "zero", "--device", "cpu"]
    assert parse([str(model), *flags]) == parse([str(model), *keys])
    assert parse([str(model)]) == ShowOptions(model)


def test_the_folder_of_a_case(model: Path, capsys: pytest.CaptureFixture[str]):
    _fails([str(model.parent)], f"did you mean {model}?", capsys)
