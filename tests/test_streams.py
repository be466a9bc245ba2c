"""Printing decides nothing: whatever becomes of a stream, results, files and exit statuses are the same."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from siit._command_line import fail, run
from siit._console import Steady, say, steady
from siit.bundle import read_bundle
from tests.builders import handmade
from tests.builders.runs import SMALL

_ROOT = Path(__file__).resolve().parents[1]
PLACES = [">/dev/full 2>/dev/full", ">&- 2>&-", "2>&1 | true"]
ENCODINGS = ["latin-1", "ascii", "utf-8"]


def shell(arguments: str, place: str, encoding: str = "utf-8") -> int:
    """The exit status of a command of siit whose output goes to a place."""
    command = f"{sys.executable} -m {arguments} {place}; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)}
    return subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade.put(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade.put(tmp_path_factory.mktemp("bundle"), parameters=handmade.broken())


@pytest.mark.slow
@pytest.mark.parametrize(("place", "encoding"), list(zip(PLACES, ENCODINGS, strict=True)))
def test_certify_says_the_same_to_every_stream(model: Path, place: str, encoding: str):
    assert shell(f"siit certify {model}", place, encoding) == 0


@pytest.mark.slow
@pytest.mark.ci
def test_not_certified_is_not_lost_either(broken: Path):
    assert shell(f"siit certify {broken}", "| head -c 1") == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("command", "status"), [("siit cases --help", 0), ("siit certfy", 2)])
def test_the_status_is_the_command_s(command: str, status: int, place: str):
    assert shell(command, place) == status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "encoding"),
    [("2>&1 | head -c 1", "utf-8"), pytest.param(">/dev/full 2>/dev/full", "latin-1", marks=pytest.mark.ci)],
)
def test_training_ends_with_its_bundle(tmp_path: Path, place: str, encoding: str):
    assert shell(f"siit train {' '.join(SMALL)} out={tmp_path}", place, encoding) == 0
    assert read_bundle(tmp_path / "frac_prevs/seed-0").case == "frac_prevs"


class Broken(io.StringIO):
    """A stream that fails with an error of one's choice."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "full"), ValueError("closed file"), OSError(5, "gone")]
)
def test_no_fault_of_a_stream_reaches_the_writer(error: Exception, monkeypatch: pytest.MonkeyPatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, Broken(error))
    say("text")
    say("text", error=True)
    assert fail("certify", "text", 2) == 2
    with steady():
        print("text", flush=True)
        sys.stderr.writelines(["a", "b"])
    assert run(lambda: 7) == 7
    monkeypatch.setattr(sys, "stdout", None)
    assert run(lambda: 7) == 7


@pytest.mark.parametrize(("error", "status"), [(FileNotFoundError(2, "no place"), 2), (RuntimeError("odd"), 3)])
def test_what_is_raised_is_never_not_certified(error: Exception, status: int, capsys: pytest.CaptureFixture[str]):
    def main() -> int:
        raise error

    assert run(main) == status
    text = capsys.readouterr().err
    assert text == "siit: error: no place\n" if status == 2 else text.endswith("RuntimeError: odd\n")


@pytest.mark.parametrize("command", ["certify {model}", "train case=frac_prevs"])
def test_no_place_for_temporary_files(command: str, model: Path, tmp_path: Path):
    """Libraries look for one while they are loaded; a limit on the size of files stands for disks that are full."""
    arguments = ["-m", "siit", *command.format(model=model).split()]
    limited = ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash", sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(limited, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("siit: error: No usable temporary directory")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_an_encoding_lacks_is_replaced(encoding: str):
    kept = io.BytesIO()
    stream = Steady(io.TextIOWrapper(kept, encoding=encoding))
    print("a → b – é", file=stream, flush=True)
    assert kept.getvalue().decode(encoding)[0] == "a"
    assert len(kept.getvalue().decode(encoding)) == len("a → b – é\n")
