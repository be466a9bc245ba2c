"""Whatever stands in a leaf of a bundle's JSON: it is refused in one line, or all that reads it works."""

from __future__ import annotations

import functools
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import siit
from siit.bundle import (
    MANIFEST_FILE,
    TRAINING_FILE,
    Bundle,
    BundleError,
    IndexEntry,
    list_folders,
    read_bundle,
    render_card,
    render_index,
    summarize,
    write_index,
)
from siit.certificate import Certificate
from siit.certificate.report import disagreements, evidence_line, rows
from tests.builders import handmade
from tests.builders.bundles import reseal

TRAINING = {"steps": 30, "seconds": {"wall": 1.5, "cpu": 2}, "threads": 1, "device": "cpu", "tests": 1}
FILES = (
    "config.json",
    "vocab.json",
    "circuit.json",
    "graph.json",
    "causal_model.json",
    "certificate.json",
    TRAINING_FILE,
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**70, 10**400, 0.5, -0.5, 1e308, 2.0),
    *("", "x", "a" * 3_000_000, "\x1b[2J\n\u202e|`", "0", "is_x"),
    *([], {}, [0], [[]], ["x"] * 9, {"a": 1}, {"\n" * 5000: {"b": []}}),
)
Place = tuple[str | int, ...]


def leaves(data: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in nested data, those of objects and lists included."""
    if place:
        yield place
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inside:
        yield from leaves(value, (*place, key))


def put(data: Any, place: Place, value: Any) -> Any:
    """The data with another value at a place."""
    if not place:
        return value
    changed = data.copy()
    changed[place[0]] = put(data[place[0]], place[1:], value)
    return changed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    training = {TRAINING_FILE: json.dumps(TRAINING).encode()}
    return handmade.put(tmp_path_factory.mktemp("root"), extra_files=training)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "previous_is_x" / "seed-0"))


@functools.cache
def content(path: Path) -> Any:
    return json.loads(path.read_bytes())


def use(folder: Path) -> None:
    """Reads a model, and all that is made of one; raises BundleError alone."""
    root = folder.parents[1]
    loaded = siit.load(root, "previous_is_x")
    assert repr(loaded) and repr(loaded.circuit) and repr(loaded.bundle) and str(loaded.circuit)
    certificate = Certificate.from_json(loaded.certificate)
    assert rows(certificate) and evidence_line(certificate, loaded.config.n_ctx)
    assert disagreements(loaded.certificate, handmade.certificate().to_json()) is not None
    card_of(loaded.bundle)
    assert render_index(list_folders(root))


def card_of(bundle: Bundle) -> None:
    for repo_id in (None, "org/name"):
        assert render_card([summarize(bundle)], repo_id=repo_id).encode()


def try_it(folder: Path, what: object) -> bool:
    """Uses a model; tells whether it was refused."""
    reseal(folder)
    try:
        use(folder)
    except BundleError as error:
        message = str(error)
        assert len(message) < 2000 and message.isprintable(), what
        return True
    return False


@pytest.mark.parametrize("name", FILES)
def test_every_leaf(whole: Path, folder: Path, name: str):
    data, draw = content(whole / name), random.Random(name)
    path, refused, tried = folder / name, 0, 0
    for place in draw.sample(found := list(leaves(data)), min(len(found), 60)):
        for value in draw.sample(ODD, 2):
            path.write_text(json.dumps(put(data, place, value)))
            refused += try_it(folder, (name, place, value))
            tried += 1
    assert refused >= tried // 3
    path.write_bytes((whole / name).read_bytes())
    assert not try_it(folder, name)


@pytest.mark.long
@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12] if not isinstance(value, int) else "int")
@pytest.mark.parametrize("name", FILES)
def test_every_leaf_with_every_value(whole: Path, folder: Path, name: str, value: object):
    data = content(whole / name)
    for place in leaves(data):
        (folder / name).write_text(json.dumps(put(data, place, value)))
        try_it(folder, (name, place, value))


@pytest.mark.parametrize("name", [*FILES, MANIFEST_FILE])
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("{", '{"twice": 1, "twice": 2, ', 1),
        lambda text: text.replace(": ", ": NaN, ", 1).replace(":", ": NaN,", 1),
        lambda text: text.replace("{", '{"x": 1e999, ', 1),
        lambda text: text.replace("{", '{"x": "\\ud800", ', 1),
        lambda text: text.replace("{", '{"\\uDFFF": 1, ', 1),
        lambda text: "[" * 5000,
        lambda text: '{"a":' * 5000,
        lambda text: "[" + text + "]",
        lambda text: "",
        lambda text: "\N{BYTE ORDER MARK}" + text,
    ],
    ids=["twice", "NaN", "infinity", "surrogate", "surrogate key", "deep list", "deep", "list", "empty", "mark"],
)
def test_what_is_no_plain_json(folder: Path, name: str, change: Callable[[str], str]):
    (folder / name).write_text(change((folder / name).read_text()))
    if name != MANIFEST_FILE:
        reseal(folder)
    with pytest.raises(BundleError) as caught:
        use(folder)
    assert len(str(caught.value)) < 2000 and str(caught.value).isprintable()
    assert str(caught.value).startswith(f"{folder}/{name}: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seconds": {"cpu": -1}}, "seconds.cpu: found -1"),
        ({"seconds": {"cpu": "1"}}, "seconds.cpu: found '1'"),
        ({"seconds": {"cpu": True}}, "seconds.cpu: found True"),
        ({"seconds": [1]}, "seconds: found [1]"),
        ({"steps": 1.5}, "steps: found 1.5"),
        ({"steps": -1}, "steps: found -1"),
        ({"threads": 0}, "threads: found 0"),
        ({"tests": None}, "tests: found None"),
        ({"device": 3}, "device: found 3"),
    ],
)
def test_what_training_took(folder: Path, change: dict[str, Any], message: str):
    (folder / TRAINING_FILE).write_text(json.dumps({**TRAINING, **change}))
    reseal(folder)
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    assert str(caught.value).startswith(f"{TRAINING_FILE}: {message}, accepted is ")


def neighbours() -> Iterator[tuple[str, str, Any]]:
    """What may be wrong with a neighbour's files; the manifest, where it is whole, fits them or not."""
    for name in FILES:
        for value in ("", "[]", "null", "{}", '{"format": []}', "\x80"):
            yield name, value, "sealed"
            yield name, value, "as it was"
    for value in ("", "[]", '{"format": 1}'):
        yield MANIFEST_FILE, value, "as it was"


def test_one_bad_neighbour_breaks_nothing(whole: Path, tmp_path: Path):
    """All of them at once, each a seed of its own; the one that is whole is in the index and in the card."""
    for number, (name, value, how) in enumerate(neighbours(), 1):
        folder = Path(shutil.copytree(whole, tmp_path / "previous_is_x" / f"seed-{number}"))
        (folder / name).write_text(value)
        if how == "sealed":
            reseal(folder, lambda content, number=number: content.update(seed=number))  # type: ignore[misc]
    for name in ("certificate.json", "config.json"):
        folder = Path(shutil.copytree(whole, tmp_path / "previous_is_x" / f"seed-{len(name) * 1000}"))
        (folder / name).unlink()
        (folder / name).mkdir()
    shutil.copytree(whole, tmp_path / "previous_is_x" / "seed-0")
    with pytest.warns(UserWarning, match=r"is left out of bundle\.json"):
        write_index(tmp_path)
    with pytest.warns(UserWarning, match=r"is left out of bundle\.json"):
        entries = siit.list_models(tmp_path)
    sha256 = entries[0].manifest_sha256
    good = IndexEntry("previous_is_x", 0, "previous_is_x/seed-0", sha256, True, "siit-certificate/2")
    assert entries[0] == good
    card = (tmp_path / "README.md").read_text()
    assert "| previous_is_x | 0 | composed |" in card
    for entry in entries[1:]:
        assert f"| previous_is_x | {entry.seed} | cannot be read: " in card
    assert siit.load(tmp_path, "previous_is_x").certificate["certified"]


def test_a_neighbour_with_a_fault_that_nobody_foresaw(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(bundle: Bundle) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("siit.bundle._index.summarize", fail)
    shutil.copytree(whole, tmp_path / "previous_is_x" / "seed-0")
    (tmp_path / "bundle.json").unlink(missing_ok=True)
    write_index(tmp_path)
    assert "| previous_is_x | 0 | cannot be read: unforeseen |" in (tmp_path / "README.md").read_text()


def test_a_folder_in_the_cards_place(whole: Path, tmp_path: Path):
    (tmp_path / "README.md").mkdir()
    handmade.put(tmp_path)
    assert len(siit.list_models(tmp_path)) == 1
