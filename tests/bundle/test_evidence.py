"""Evidence is stored in the smallest dtypes that hold it, and read as if it had not been; format 1 is read too."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from siit.bundle import Bundle, BundleError, read_bundle, read_index, write_bundle, write_index
from siit.bundle._evidence import narrowed, widened
from siit.verification import verify
from tests.builders import handmade
from tests.builders.bundles import CONFIG, change_evidence, change_tensor, in_format_1, make_bundle, reseal

FILE = "evaluation.safetensors"


def stored(folder: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder / FILE)


def error(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    return str(caught.value)


def same(one: Bundle, other: Bundle) -> bool:
    """Whether evidence, dtypes included, and certificates agree."""
    return (
        one.certificate == other.certificate
        and one.evidence.keys() == other.evidence.keys()
        and all(tensor.dtype == other.evidence[name].dtype for name, tensor in one.evidence.items())
        and all(torch.equal(tensor, other.evidence[name]) for name, tensor in one.evidence.items())
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path, make_bundle())


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 255], torch.uint8),
        ([-1, 127], torch.int8),
        ([-128, 0], torch.int8),
        ([-1, 128], torch.int16),
        ([256], torch.int16),
        ([1 << 15], torch.int32),
        ([-(1 << 31)], torch.int32),
        ([1 << 31], torch.int64),
        ([0.0, 0.5, -0.25, 2048.0, 65504.0, 2.0**-24], torch.float16),
        ([2049.0], torch.float32),
        ([65536.0], torch.float32),
        ([2.0**-25], torch.float32),
        ([0.0, 1 / 3], torch.float32),
        ([True, False], torch.bool),
    ],
)
def test_smallest_dtype(values: list[Any], dtype: torch.dtype):
    assert narrowed(torch.tensor(values)).dtype == dtype


@given(st.lists(st.integers(-(1 << 40), 1 << 40) | st.integers(-300, 300), min_size=1))
def test_whole_numbers_come_back(values: list[int]):
    tensor = torch.tensor(values)
    small = narrowed(tensor)
    # NumPy's smallest type, told apart from those that a bundle does not have.
    needed = max(np.min_scalar_type(min(values)).itemsize, np.min_scalar_type(max(values)).itemsize)
    assert needed <= small.element_size() <= 2 * needed
    assert widened(small).dtype == torch.int64 and torch.equal(widened(small), tensor)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_come_back(values: list[float]):
    tensor = torch.tensor(values)
    assert widened(narrowed(tensor)).numpy().tobytes() == tensor.numpy().tobytes(), "to the last bit"


def test_each_tensor_by_itself(tmp_path: Path):
    bundle = make_bundle(config=dataclasses.replace(CONFIG, d_vocab_out=1))
    evidence = dict(bundle.evidence)
    evidence["base_target"] = torch.full_like(evidence["base_target"], 0.5)
    found = stored(write_bundle(tmp_path, dataclasses.replace(bundle, evidence=evidence)))
    assert found["base_target"].dtype == torch.float16 and found["source_target"].dtype == torch.float32
    assert found["base_tokens"].dtype == found["source_positions"].dtype == torch.uint8
    assert found["base_scored"].dtype == torch.bool


def test_many_tokens(tmp_path: Path):
    config = dataclasses.replace(CONFIG, d_vocab=300)
    bundle = make_bundle(config=config)
    folder = write_bundle(tmp_path, bundle)
    assert stored(folder)["base_tokens"].dtype == torch.int16
    assert torch.equal(read_bundle(folder).evidence["base_tokens"], bundle.evidence["base_tokens"])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_wider_than_need_be(folder: Path, dtype: torch.dtype):
    change_evidence(
        folder,
        lambda found: {name: kept if kept.dtype == torch.bool else kept.to(dtype) for name, kept in found.items()},
    )
    assert same(read_bundle(folder), make_bundle())


WHOLE = "uint8 or int8 or int16 or int32 or int64 [3, 5]"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("base_tokens", lambda t: t.double(), f"base_tokens: found F64 [3, 5], accepted is {WHOLE}"),
        ("base_tokens", lambda t: t.half(), f"base_tokens: found float16 [3, 5], accepted is {WHOLE}"),
        ("base_tokens", lambda t: t.to(torch.uint16), f"base_tokens: found U16 [3, 5], accepted is {WHOLE}"),
        ("base_target", lambda t: t.bool(), f"base_target: found bool [3, 5], accepted is {WHOLE}"),
        ("base_scored", lambda t: t.byte(), "base_scored: found uint8 [3, 5], accepted is bool [3, 5]"),
        ("source_positions", lambda t: t[:2], f"source_positions: found uint8 [2, 5], accepted is {WHOLE}"),
        # What wraps around is a number of another sense.
        ("base_tokens", lambda t: t - 4, "base_tokens: found 25"),
        ("base_tokens", lambda t: t.char() - 4, "base_tokens: found -"),
        ("base_target", lambda t: t - 1, "base_target: found 255, accepted is a class from 0 to 1"),
    ],
)
def test_other_dtypes(folder: Path, name: str, change: Any, message: str):
    change_tensor(folder, name, change(stored(folder)[name]))
    assert error(folder).startswith(f"{FILE}: {message}")


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_numbers_that_are_none(tmp_path: Path, value: float):
    bundle = make_bundle(config=dataclasses.replace(CONFIG, d_vocab_out=1))
    folder = write_bundle(tmp_path, bundle)
    change_tensor(folder, "base_target", torch.full((3, 5), value, dtype=torch.float16))
    assert error(folder) == f"{FILE}: base_target: found 'NaN or an infinity', accepted is finite values"
    evidence = {**bundle.evidence, "base_target": torch.full((3, 5), value)}
    with pytest.raises(BundleError, match="base_target: found 'NaN or an infinity'"):
        write_bundle(tmp_path, dataclasses.replace(bundle, evidence=evidence))


def test_what_grows_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Eight-fold, from bytes to int64: the limit is one of what is allocated."""
    bundle = read_bundle(folder)
    size = sum(tensor.nbytes for tensor in bundle.evidence.values())
    monkeypatch.setattr("siit.bundle._evidence.SIZE_LIMITS", {FILE: size})
    read_bundle(folder)
    monkeypatch.setattr("siit.bundle._evidence.SIZE_LIMITS", {FILE: size - 1})
    assert error(folder) == f"{FILE}: size: found '{size} bytes in memory', accepted is at most {size - 1}"


@pytest.mark.parametrize("outputs", [1, 2])
def test_format_1_is_read(tmp_path: Path, outputs: int):
    bundle = make_bundle(config=dataclasses.replace(CONFIG, d_vocab_out=outputs))
    folder = write_bundle(tmp_path, bundle)
    size = (folder / FILE).stat().st_size
    in_format_1(folder)
    assert {tensor.dtype for tensor in stored(folder).values()} <= {torch.int64, torch.float32, torch.bool}
    assert (folder / FILE).stat().st_size > size
    assert same(read_bundle(folder), bundle)
    write_index(tmp_path)
    assert [entry.path for entry in read_index(tmp_path)] == ["toy/seed-0"]
    assert "| toy | 0 |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("name", ["base_tokens", "base_target", "source_positions"])
def test_format_1_has_three_dtypes(folder: Path, name: str):
    narrow = stored(folder)[name]
    change_tensor(in_format_1(folder), name, narrow)
    assert error(folder) == f"{FILE}: {name}: found uint8 [3, 5], accepted is int64 [3, 5], at least one pair"


@pytest.mark.parametrize(("there", "here"), [("siit-bundle/1", "siit-bundle/2"), ("siit-bundle/2", "siit-bundle/1")])
def test_two_formats_in_one_folder(folder: Path, there: str, here: str):
    config = folder / "config.json"
    config.write_text(config.read_text().replace("siit-bundle/2", here))
    reseal(folder, lambda content: content.update(format=there))
    assert error(folder) == f"config.json: format: found '{here}', accepted is '{there}', as in manifest.json"


def test_an_index_of_format_1(folder: Path):
    from siit.bundle import _json

    path = folder.parents[1] / "bundle.json"
    content = _json.unseal(path.read_bytes(), path.name)
    for name, accepted in (("siit-bundle/1", True), ("siit-bundle/3", False)):
        path.write_bytes(_json.seal({**content, "format": name}, path.name))
        if accepted:
            assert len(read_index(path.parent)) == 1
        else:
            with pytest.raises(BundleError, match=r"accepted is 'siit-bundle/1' or 'siit-bundle/2'"):
                read_index(path.parent)


@pytest.mark.slow
@pytest.mark.ci
def test_verified_to_the_digit_in_both_formats(tmp_path: Path):
    folder = handmade.put(tmp_path)
    old = in_format_1(Path(shutil.copytree(folder, tmp_path / "old" / "seed-0")))
    assert (folder / FILE).stat().st_size < 0.3 * (old / FILE).stat().st_size
    found, before = (verify(read_bundle(path), seed=0) for path in (folder, old))
    assert found.certified and found.to_json() == before.to_json()
    assert same(read_bundle(write_bundle(tmp_path / "again", read_bundle(old))), read_bundle(folder))
