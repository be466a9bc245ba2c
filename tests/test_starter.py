"""The starter release: found by its name, in a wheel's place and in a checkout's; what it holds."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

import siit
from scripts.starter import LIMIT, ROOT, Member, check, read_list, size, table
from siit import starter
from siit.bundle import MANIFEST_FILE, BundleError, read_index
from siit.certificate.fields import CERTIFICATE_FORMAT
from siit.graph.tiers import TIERS
from siit.places import model_folder
from siit.starter import with_starter
from siit.suite.models import read_models
from tests.builders import handmade

SHIPPED = [member for member in read_list() if (ROOT / member.path).exists()]


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


def test_what_is_shipped_is_what_the_list_and_the_index_say():
    """Files are read strictly, sha256 and all; what git does not track, trained into the clone since, is left out."""
    members = {member.path: member for member in SHIPPED}
    listed = {entry.path: entry for entry in read_index(ROOT)}
    found = [(model, bundle) for model, bundle in read_models(ROOT) if model.path in members]
    assert len(found) == len(members) > 0 and members.keys() <= listed.keys()
    for model, bundle in found:
        assert bundle is not None and model.path is not None
        assert model.certified is not members[model.path].control
        assert bundle.certificate["format"] == CERTIFICATE_FORMAT
        data = (ROOT / model.path / MANIFEST_FILE).read_bytes()
        assert listed[model.path].manifest_sha256 == hashlib.sha256(data).hexdigest()
    assert {model.tier for model, _ in found} == set(TIERS)
    assert sum(size(ROOT / path) for path in members) <= LIMIT
    page = (ROOT / "README.md").read_text()
    assert all(line in page for line in table(model for model, _ in found))


@pytest.mark.slow
@pytest.mark.parametrize("member", SHIPPED, ids=lambda member: member.path)
def test_each_shipped_model_is_what_it_says(member: Member):
    check(member, ROOT / member.path)
