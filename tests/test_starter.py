"""The starter release: found by its name, in a wheel's place and in a checkout's; what it holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import siit
from siit import starter
from siit.bundle import BundleError
from siit.places import model_folder
from siit.starter import with_starter
from tests.builders import handmade


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Where a wheel and a checkout would have it; nothing is there yet."""
    found = (tmp_path / "package", tmp_path / "checkpoints")
    monkeypatch.setattr(starter, "_PLACES", found)
    monkeypatch.chdir(tmp_path)
    return found


@pytest.mark.parametrize("which", [0, 1])
def test_it_is_loaded_by_its_name(places: tuple[Path, Path], which: int):
    handmade.put(places[which])
    loaded = siit.load("starter", "previous_is_x")
    assert (loaded.case, loaded.seed) == ("previous_is_x", 0)
    assert siit.load_circuit("starter", "previous_is_x").circuit == loaded.circuit
    assert [entry.path for entry in siit.list_models("starter")] == ["previous_is_x/seed-0"]
    assert model_folder(Path("starter/previous_is_x/seed-0")) == places[which] / "previous_is_x/seed-0"


def test_a_folder_of_its_name_goes_first(places: tuple[Path, Path]):
    handmade.put(places[0])
    handmade.put(Path("starter"), seed=3)
    assert siit.load("starter", "previous_is_x", seed=3).seed == 3
    with pytest.raises(BundleError, match="accepted are previous_is_x/seed-3"):
        siit.load("starter", "previous_is_x")


def test_other_paths_are_left_alone(places: tuple[Path, Path]):
    for path in ("checkpoints", f"{os.sep}starter", "a/starter", "starters"):
        assert with_starter(path) == Path(path)


def test_an_installation_without_it(places: tuple[Path, Path]):
    with pytest.raises(BundleError, match=r"^starter: found no bundle.json in .*package, where a wheel .* accepted is"):
        siit.load("starter", "ioi")
