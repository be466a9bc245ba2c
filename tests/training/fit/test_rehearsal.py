"""What a bundle would be refused for is refused before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from siit.train import train
from siit.training.configuration.settings import ConfigError
from siit.training.rasp.from_rasp import ProgramError
from tests.builders.runs import Compose

PROGRAMS = """
import math
import numpy as np
from tracr.rasp import rasp

def mapped(f):
    return rasp.Map(f, rasp.tokens).named("answer")

def is_a(): return mapped(lambda token: token == "a")
def infinite(): return mapped(lambda token: math.inf if token == "a" else 0)
def nan(): return mapped(lambda token: math.nan if token == "a" else 0)
def numpy_bool(): return mapped(lambda token: np.bool_(token == "a"))
def numpy_float(): return mapped(lambda token: np.float64(token == "a"))
def numpy_int(): return mapped(lambda token: np.int64(token == "a"))
def numpy_text(): return mapped(lambda token: np.str_(token))
def several(): return mapped(lambda token: (token, 1))
def infinite_number(): return rasp.numerical(rasp.Map(lambda token: math.inf if token == "a" else 0.5, rasp.tokens))
"""


@pytest.fixture
def no_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fit(*args: Any, **options: Any) -> None:
        pytest.fail("it trains")

    monkeypatch.setattr("siit.training.fit.pipeline.fit", fit)
    (tmp_path / "odd_programs.py").write_text(PROGRAMS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def own(program: str, vocab: str = "[a,b,c]") -> list[str]:
    return ["case=custom", f"case.program=odd_programs:{program}", f"case.vocab={vocab}", "case.max_len=4"]


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize(
    "program",
    ["infinite", "nan", "numpy_bool", "numpy_float", "numpy_int", "numpy_text", "several", "infinite_number"],
)
def test_answers_that_no_file_can_hold(composed: Compose, program: str) -> None:
    with pytest.raises((ConfigError, ProgramError)) as caught:
        train(composed(*own(program)))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("vocab", ["[a,b,BOS]", "[PAD,a,b]"])
def test_tokens_that_are_taken(composed: Compose, vocab: str) -> None:
    with pytest.raises(ConfigError, match=r"could not be bundled: vocab\.json: tokens\[\d\]: found '(BOS|PAD)'"):
        train(composed(*own("is_a", vocab)))


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("name", ["'my case'", "'../up'", "'.hidden'", "a.b", "'é'", "x" * 101])
def test_names_that_are_no_folder(composed: Compose, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"case\.name: .*letters, digits"):
        train(composed(*own("is_a"), f"case.name={name}"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["odd_programs.py"]


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reverse", r"case\.name: found 'reverse', under which another program is known .*case\.name=reverse-own"),
        ("random-single-0", r"case\.name: found 'random-single-0', accepted is a name that is none of the generator"),
        ("random-deep-4711", r"case\.name: found 'random-deep-4711', accepted is a name that is none of the"),
    ],
)
def test_names_of_other_programs(composed: Compose, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(composed(*own("is_a"), f"case.name={name}"))
    assert not (tmp_path / name).exists()


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("place", ["a file", "below a file", "a case's file", "a run's file"])
def test_places_that_nothing_can_be_written_to(composed: Compose, tmp_path: Path, place: str) -> None:
    file = tmp_path / "file"
    file.write_text("a note")
    out = {"a file": file, "below a file": file / "out"}.get(place, tmp_path / "out")
    if place == "a case's file":
        out.mkdir()
        (out / "frac_prevs").write_text("a note")
    if place == "a run's file":
        out.mkdir()
        (out / ".runs").write_text("a note")
    with pytest.raises((ConfigError, RuntimeError), match=r"out: found|cannot be read or written"):
        train(composed(f"out={out}"))
    assert file.read_text() == "a note"


@pytest.mark.usefixtures("no_step")
@pytest.mark.parametrize("error", [OSError(37, "No locks available"), PermissionError(13, "Permission denied")])
def test_a_file_system_that_cannot_lock(composed: Compose, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    import fcntl

    def refuse(*args: Any) -> None:
        raise error

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigError, match=f"out: .*{error.strerror}.*locks"):
        train(composed())
