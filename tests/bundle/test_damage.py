"""A bundle that is damaged, or made to harm, gives an error that names the file and the field."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from siit.bundle import MANIFEST_FILE, Bundle, BundleError, read_bundle, read_index, write_bundle
from siit.bundle._folder import read_file
from siit.bundle._names import FILES
from tests.builders.bundles import change_tensor, make_bundle, reseal, salt_of

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("root"), make_bundle())


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "toy" / "seed-0"))


def error(folder: Path, **options: Any) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(folder, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", [*FILES, MANIFEST_FILE, "tokenizer.json"])
def test_one_flipped_byte(folder: Path, name: str):
    path = folder / name
    whole = path.read_bytes()
    draw = random.Random(name)
    places = {0, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(20))}
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        assert error(folder).startswith(f"{name}: "), place
    path.write_bytes(whole)
    read_bundle(folder)


def test_one_flipped_byte_of_the_index(tmp_path: Path):
    write_bundle(tmp_path, make_bundle())
    path = tmp_path / "bundle.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match=r"^bundle\.json: "):
            read_index(tmp_path)


@pytest.mark.parametrize("name", [*FILES, MANIFEST_FILE, "tokenizer.json"])
@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_cut_off(folder: Path, name: str, keep: float):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(keep * len(data))])
    assert error(folder).startswith(f"{name}: ")
    if name not in (MANIFEST_FILE, "train.yaml"):
        reseal(folder)
        assert error(folder).startswith(f"{name}: ")


@pytest.mark.parametrize("name", [*FILES, MANIFEST_FILE, "tokenizer.json"])
def test_missing_file(folder: Path, name: str):
    (folder / name).unlink()
    assert error(folder).startswith(f"{name}: file: found ")


def test_no_folder(tmp_path: Path):
    assert "folder: found 'nothing'" in error(tmp_path / "toy/seed-0")
    (tmp_path / "file").touch()
    assert "folder: found 'a file'" in error(tmp_path / "file")


@pytest.mark.parametrize("name", ["code.py", "hidden", "folder/", "Thumbs.db.py", "desktop.ini.json", "nfs0001"])
def test_extra_file(folder: Path, name: str):
    (folder / name).mkdir() if name.endswith("/") else (folder / name).touch()
    assert error(folder) == (
        f"{name.rstrip('/')}: file: found 'a file that the manifest does not list', "
        "accepted is the files of manifest.json"
    )


def test_listed_code(folder: Path):
    (folder / "code.py").write_text("print('hello')")
    reseal(folder, lambda content: content["files"].update({"code.py": entry(folder / "code.py")}))
    assert error(folder).startswith("code.py: name: ")


def entry(path: Path) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}


@pytest.mark.parametrize(
    "name", ["../secret.json", "/etc/passwd", "a\\b", "..", "a/b", "", ".hidden", "a\n", MANIFEST_FILE]
)
def test_paths(folder: Path, name: str):
    (folder.parent / "secret.json").write_text("{}")
    reseal(folder, lambda content: content["files"].update({name: {"sha256": "0" * 64, "size": 2}}))
    assert error(folder).startswith("manifest.json: files: found ")


def test_links(folder: Path):
    path = folder / "certificate.json"
    outside = Path(shutil.move(path, folder.parent / "outside.json"))
    path.symlink_to(outside)
    assert error(folder).startswith("certificate.json: file: found 'a link to ")
    assert read_bundle(folder, within=folder.parent).case == "toy"
    path.unlink()
    path.symlink_to(path)
    assert error(folder).startswith("certificate.json: file: found ")


def test_special_files(folder: Path):
    (folder / "train.yaml").unlink()
    os.mkfifo(folder / "train.yaml")
    assert error(folder).startswith("train.yaml: file: found 'a folder or a special file'")


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["model.safetensors", "evaluation.safetensors"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5, "torch", "old torch"])
def test_pickle_in_disguise(folder: Path, name: str, protocol: int | str):
    buffer = io.BytesIO()
    if isinstance(protocol, str):
        torch.save({"embed.W_E": _Code()}, buffer, _use_new_zipfile_serialization=protocol == "torch")
    else:
        buffer.write(pickle.dumps(_Code(), protocol=protocol))
    (folder / name).write_bytes(buffer.getvalue())
    reseal(folder)
    message = error(folder)
    assert message.startswith(f"{name}: ")
    if protocol != 0:
        assert "pickle" in message or "PyTorch checkpoint" in message


def safetensors_bytes(header: bytes, body: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def huge(shape: list[int], end: int) -> bytes:
    return json.dumps({"embed.W_E": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ((1 << 62).to_bytes(8, "little") + b"{}", "header length"),
        (safetensors_bytes(b"{" + b" " * (17 << 20) + b"}"), "header length"),
        (safetensors_bytes(b"{}"), "embed.W_E"),
        (safetensors_bytes(b"[" * 100_000), "content"),
        (safetensors_bytes(b'{"a": 1, "a": 1}'), "a"),
        (safetensors_bytes(b'{"embed.W_E": 1}'), "embed.W_E"),
        (safetensors_bytes(huge([1 << 40, 1 << 40], 4)), "embed.W_E"),
        (safetensors_bytes(huge([-5, 8], 4)), "embed.W_E"),
        (safetensors_bytes(b'{"__metadata__": 1}'), "__metadata__"),
    ],
)
def test_headers(folder: Path, data: bytes, field: str):
    (folder / "model.safetensors").write_bytes(data)
    reseal(folder)
    assert error(folder).startswith(f"model.safetensors: {field}: ")


def test_offsets_beyond_the_file(folder: Path):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    reseal(folder)
    assert error(folder).startswith("model.safetensors: content: ")


def test_truth_values(folder: Path):
    path = folder / "evaluation.safetensors"
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    offset = json.loads(data[8:start])["base_scored"]["data_offsets"][0]
    path.write_bytes(data[: start + offset] + b"\x02" + data[start + offset + 1 :])
    reseal(folder)
    assert error(folder).startswith("evaluation.safetensors: base_scored: found 'a byte above 1'")


def test_exhaustive(folder: Path):
    path = folder / "evaluation.safetensors"
    path.write_bytes(safetensors.torch.save(safetensors.torch.load(path.read_bytes())))
    reseal(folder)
    assert error(folder).startswith("evaluation.safetensors: __metadata__.exhaustive: found None")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with inputs of another kind."""
    bundle = make_bundle()
    probe = {f"probe/odd/{field}": bundle.evidence[f"base_{field}"].clone() for field in ("tokens", "target", "scored")}
    evidence = {**bundle.evidence, **probe}
    return write_bundle(tmp_path_factory.mktemp("probed"), dataclasses.replace(bundle, evidence=evidence))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("probe/odd/tokens", lambda t: t.index_fill(1, torch.tensor([0]), 0), "probe/odd/tokens: found BOS missing"),
        ("probe/odd/tokens", lambda t: t.index_fill(1, torch.tensor([2]), 4), "probe/odd/tokens: found a token after"),
        (
            "probe/odd/tokens",
            lambda t: t.index_fill(1, torch.tensor([2]), 9),
            "probe/odd/tokens: found 9, accepted is a token id from 0 to 4",
        ),
        ("probe/odd/tokens", lambda t: t[:1], "probe/odd/tokens: "),
        ("probe/odd/tokens", lambda t: None, "probe/odd/tokens: "),
        ("probe/odd/target", lambda t: t + 2, "probe/odd/target: found 2, accepted is a class from 0"),
        ("probe/odd/target", lambda t: t.float(), "probe/odd/target: "),
        ("probe/odd/target", lambda t: None, "probe/odd/target: "),
        ("probe/odd/scored", lambda t: torch.ones_like(t), "probe/odd/scored: found a scored BOS or PAD"),
        ("probe/odd/scored", lambda t: t.long(), "probe/odd/scored: "),
        ("probe/odd/scored", lambda t: None, "probe/odd/scored: "),
        ("contrast/swap/tokens", lambda t: None, "contrast/swap/tokens: "),
        ("contrast/swap/scored", lambda t: torch.ones_like(t), "contrast/swap/scored: found a scored BOS or PAD"),
    ],
)
def test_probes_and_contrasts(probed: Path, tmp_path: Path, name: str, change: Any, message: str):
    folder = Path(shutil.copytree(probed, tmp_path / "toy" / "seed-0"))
    tensor = read_bundle(folder).evidence[name]
    change_tensor(folder, name, tensor)
    read_bundle(folder)
    change_tensor(folder, name, change(tensor))
    assert error(folder).startswith(f"evaluation.safetensors: {message}")


@pytest.mark.parametrize("name", ["probe/tokens", "probe/a/b/tokens", "probes/odd/tokens", "odd"])
def test_other_evidence(probed: Path, tmp_path: Path, name: str):
    folder = Path(shutil.copytree(probed, tmp_path / "toy" / "seed-0"))
    change_tensor(folder, name, read_bundle(folder).evidence["base_tokens"].clone())
    assert error(folder).startswith(f"evaluation.safetensors: {name}: ")


def replaced(name: str, old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (replaced("config.json", '"n_layers": 2', '"n_layers": 2, "n_layers": 2'), "config.json: n_layers: found"),
        (replaced("config.json", '"n_layers": 2', '"n_layers": 3'), "circuit.json: nodes"),
        (replaced("config.json", '"n_layers": 2', '"n_layers": 1000000'), "config.json: n_layers: found 1000000"),
        (replaced("config.json", '"n_layers": 2', '"n_layers": true'), "config.json: n_layers: found True"),
        (replaced("config.json", '"d_mlp": 16', '"d_mlp": 17'), "model.safetensors: blocks.0.mlp.W_in"),
        (replaced("config.json", '"eps"', '"epsilon"'), "config.json: config: missing eps"),
        (replaced("config.json", "{", '{"more": 1,'), "config.json: fields"),
        (replaced("config.json", "siit-bundle/2", "siit-bundle/1"), "config.json: format"),
        (replaced("config.json", "siit-bundle/2", "siit-bundle/3"), "config.json: format"),
        (replaced("config.json", '"toy"', '"../toy"'), "config.json: case"),
        (replaced("config.json", '"toy"', '"other"'), "manifest.json: case, seed"),
        (replaced("config.json", '"seed": 0', '"seed": 1'), "manifest.json: case, seed"),
        (replaced("vocab.json", '"bos_id": 3', '"bos_id": 2'), "evaluation.safetensors: "),
        (replaced("vocab.json", '"bos_id": 3', '"bos_id": 5'), "vocab.json: bos_id"),
        (replaced("vocab.json", '"a"', '["a"]'), "vocab.json: tokens[0]"),
        (replaced("vocab.json", '"a"', "NaN"), "vocab.json: number: found 'NaN'"),
        (replaced("vocab.json", '"a"', "1e999"), "vocab.json: number: found '1e999'"),
        (replaced("vocab.json", '"a"', "9" * 5000), "vocab.json: content"),
        (replaced("vocab.json", "{", "[{"), "vocab.json: content"),
        (replaced("circuit.json", "siit-circuit/1", "siit-circuit/2"), "circuit.json: format"),
        (replaced("circuit.json", '"a0.h1"', '"a0.h7"'), "circuit.json: "),
        (replaced("circuit.json", '"slot": "v"', '"slot": "x"'), "circuit.json: "),
        (replaced("circuit.json", '"slot": "v"', '"slot": ["v"]'), "circuit.json: "),
        (replaced("circuit.json", '"tokens->is_x<v>"', "7"), "circuit.json: edges[0].carries: found 7"),
        (replaced("circuit.json", '"tokens->is_x<v>"', '{"a": 1}'), "circuit.json: edges[0].carries"),
        (replaced("circuit.json", '"says which tokens are x"', "7"), "circuit.json: nodes[3].role: found 7"),
        (replaced("circuit.json", '"role": ""', '"role": "", "program": 7'), "circuit.json: nodes[0].program: found 7"),
        (replaced("circuit.json", '"role": ""', '"role": "", "program": ""'), "circuit.json: nodes: found"),
        (replaced("circuit.json", '"nodes": [', '"nodes": ["a0.h0", '), "circuit.json: nodes: found"),
        (replaced("circuit.json", "{", '{"code": "",'), "circuit.json: code"),
        (replaced("circuit.json", '"tokens->is_x<v>"', '"other"'), "certificate.json: details.edge_iia"),
        (replaced("graph.json", '"in_graph":true', '"in_graph":false'), "graph.json: content"),
        (replaced("graph.json", '"score":1.0', '"score":0.5'), "graph.json: content"),
        (replaced("graph.json", '"score":1.0', '"score":true'), "graph.json: content"),
        (replaced("graph.json", '"edges":{', '"edges":{"a":{},'), "graph.json: edges"),
        (replaced("graph.json", '"edges":{', '"edges":[],"edge":{'), "graph.json: edges"),
        (replaced("causal_model.json", '"format"', '"form"'), "causal_model.json: format"),
        (
            replaced("certificate.json", '"certified": true', '"certified": false'),
            "certificate.json: certified",
        ),
        (replaced("certificate.json", '"certified": true', '"certified": 1'), "certificate.json: certified"),
    ],
)
def test_content(folder: Path, damage: Damage, message: str):
    damage(folder)
    reseal(folder)
    assert error(folder).startswith(message)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "siit-bundle/3"),
        ("format", 2),
        ("case", "/"),
        ("seed", "0"),
        ("certified", "yes"),
        ("created", "yesterday"),
        ("created", "2026-01-01T00:00:00"),
        ("git_commit", "main"),
        ("versions", {"siit": 1}),
        ("files", []),
    ],
)
def test_manifest_fields(folder: Path, field: str, value: object):
    reseal(folder, lambda content: content.update({field: value}))
    assert error(folder).startswith(f"manifest.json: {field}: ")


def test_a_manifest_of_another_verdict(folder: Path):
    reseal(folder, lambda content: content.update({"certified": False}))
    assert error(folder).startswith("manifest.json: certified: found False, accepted is what certificate.json says")


@pytest.mark.parametrize(("key", "value"), [("sha256", "x"), ("size", -1), ("size", True), ("size", 1 << 60)])
def test_manifest_entries(folder: Path, key: str, value: object):
    reseal(folder, lambda content: content["files"]["model.safetensors"].update({key: value}))
    assert error(folder).startswith(f"manifest.json: files.model.safetensors.{key}: ")


def test_manifest_that_lists_too_little(folder: Path):
    (folder / "graph.json").unlink()
    reseal(folder, lambda content: content["files"].pop("graph.json"))
    assert error(folder).startswith("manifest.json: files: found 'no graph.json'")


def test_another_seeds_folder(folder: Path):
    other = folder.rename(folder.with_name("seed-1"))
    assert error(other).startswith("config.json: seed: found 0, accepted is that of the folder seed-1")


def test_a_file_that_is_larger_than_listed(folder: Path):
    with open(folder / "model.safetensors", "ab") as file:
        file.truncate(1 << 40)
    assert error(folder).startswith("model.safetensors: size: ")


def test_a_file_of_more_bytes_than_any_may_have(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_file(tmp_path / "file", tmp_path, 10) == b"0123456789"
    with pytest.raises(BundleError, match="file: size: found 'more than 9 bytes', accepted is at most 9 bytes"):
        read_file(tmp_path / "file", tmp_path, 9)


def test_damage_is_found_where_it_is_not_read(folder: Path):
    (folder / "certificate.json").write_text("{}")
    assert error(folder, weights=False, evidence=False).startswith("certificate.json: size: ")


def test_read_of_a_folder_that_is_being_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch):
    from siit.bundle import _reader

    read, calls = _reader._read, []

    def replaced_meanwhile(*arguments: Any) -> Bundle:
        calls.append(arguments)
        if len(calls) == 1:
            write_bundle(folder.parents[1], make_bundle(salt=3))
            raise BundleError("half old, half new")
        return read(*arguments)

    monkeypatch.setattr(_reader, "_read", replaced_meanwhile)
    assert salt_of(read_bundle(folder)) == 3
