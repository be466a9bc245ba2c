"""What systems leave in folders is no part of a model, and a snapshot of the Hub is read where it lies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import siit
from siit.bundle import (
    BundleError,
    list_folders,
    model_files,
    read_bundle,
    read_index,
    set_aside,
    write_bundle,
    write_index,
)
from siit.certify import main
from tests.builders import handmade
from tests.builders.bundles import make_bundle

FOREIGN = (".DS_Store", "._config.json", ".nfs0000000001", "Thumbs.db", "desktop.ini", "Desktop.ini", ".directory")
FOREIGN_FOLDERS = (".ipynb_checkpoints", "__MACOSX", "@eaDir")


def litter(folder: Path) -> None:
    """Puts into a folder what systems leave, some of it with content."""
    for name in FOREIGN:
        (folder / name).write_bytes(b"\x80\x04.")
    for name in FOREIGN_FOLDERS:
        (folder / name).mkdir()
        (folder / name / "config-checkpoint.json").write_text("{")


def test_foreign_files_are_not_read_and_not_sent(tmp_path: Path):
    folder = write_bundle(tmp_path, make_bundle())
    sent = set(model_files(folder).files)
    for place in (folder, folder.parent, tmp_path):
        litter(place)
    assert read_bundle(folder).case == "toy"
    assert set(model_files(folder).files) == sent
    assert [entry.path for entry in siit.list_models(tmp_path)] == ["toy/seed-0"]
    write_index(tmp_path)
    assert [entry.path for entry in read_index(tmp_path)] == ["toy/seed-0"]


def test_a_model_is_set_aside_whole_and_never_over_another(tmp_path: Path):
    for number in (1, 2, 3):
        folder = write_bundle(tmp_path, make_bundle(salt=number))
        content = (folder / "model.safetensors").read_bytes()
        place = set_aside(folder)
        assert place == folder.with_name(f"seed-0.damaged-{number}")
        assert not folder.exists()
        assert (place / "model.safetensors").read_bytes() == content
    assert list_folders(tmp_path) == []


def snapshot_of(root: Path, cache: Path) -> Path:
    """Lays a bundle out as `snapshot_download` does: links to blobs, which lie beside the snapshots."""
    repository = cache / "models--org--name"
    snapshot = repository / "snapshots" / "0123abc"
    (repository / "blobs").mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".lock")):
        blob = repository / "blobs" / f"{number:040x}"
        shutil.copy(path, blob)
        place = snapshot / path.relative_to(root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(blob, place.parent))
    return snapshot


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    handmade.put(tmp_path / "root")
    return snapshot_of(tmp_path / "root", tmp_path / "cache")


@pytest.mark.slow
def test_a_snapshot_is_loaded_listed_and_certified(snapshot: Path, capsys: pytest.CaptureFixture[str]):
    entries = siit.list_models(snapshot)
    assert [entry.path for entry in entries] == ["previous_is_x/seed-0"]
    assert entries == read_index(snapshot)
    assert siit.load(snapshot, "previous_is_x").certificate["certified"]
    assert main([str(snapshot / "previous_is_x" / "seed-0")]) == 0, capsys.readouterr()


def test_a_snapshot_that_is_reached_by_a_link(snapshot: Path, tmp_path: Path):
    (tmp_path / "bundle").symlink_to(snapshot)
    assert siit.load(tmp_path / "bundle", "previous_is_x").certificate["certified"]
    assert len(siit.list_models(tmp_path / "bundle")) == 1


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "manifest.json"])
def test_links_lead_nowhere_else(snapshot: Path, tmp_path: Path, name: str):
    path = snapshot / "previous_is_x" / "seed-0" / name
    outside = tmp_path / "cache" / "models--org--other" / "blobs" / "0"
    outside.parent.mkdir(parents=True)
    shutil.move(path.resolve(), outside)
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(BundleError, match=rf"{name}: file: found 'a link to"):
        siit.load(snapshot, "previous_is_x")


def test_links_of_another_folder_lead_nowhere(snapshot: Path):
    """Only below a folder that is called `snapshots`, with `blobs` beside it, links are followed at all."""
    moved = snapshot.parent.rename(snapshot.parent.with_name("shots")) / snapshot.name
    with pytest.raises(BundleError, match="found 'a link to"):
        read_bundle(moved / "previous_is_x" / "seed-0")
    with pytest.warns(UserWarning, match="found 'a link to"):
        assert siit.list_models(moved) == []
