"""What is written is what is read."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siit.bundle import Bundle, BundleError, Vocab, read_bundle, read_index, write_bundle, write_index
from siit.bundle._tensors import read_header
from siit.certificate import Answers
from siit.graph.architecture import ModelConfig
from tests.builders.bundles import CONFIG, make_bundle, make_certificate, make_circuit, reseal

CERTIFICATE = make_certificate(make_circuit(CONFIG))
NUMERICAL = dataclasses.replace(CONFIG, d_vocab_out=1)

configs = st.builds(
    ModelConfig,
    n_layers=st.integers(1, 3),
    n_heads=st.integers(1, 3),
    d_model=st.integers(1, 6),
    d_head=st.integers(1, 4),
    d_mlp=st.integers(1, 8),
    n_ctx=st.integers(3, 6),
    d_vocab=st.integers(4, 7),
    d_vocab_out=st.integers(1, 4),
    act_fn=st.sampled_from(["gelu", "gelu_new", "relu", "silu"]),
    attention_dir=st.sampled_from(["causal", "bidirectional"]),
    normalization_type=st.sampled_from([None, "LN"]),
)


def assert_same(found: Bundle, expected: Bundle) -> None:
    for field in dataclasses.fields(Bundle):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        if field.name in ("parameters", "evidence"):
            assert left.keys() == right.keys()
            for name in left:
                assert left[name].dtype == right[name].dtype
                assert torch.equal(left[name], right[name])
        elif field.name == "circuit":
            assert left.to_json() == right.to_json()
        else:
            assert left == right, field.name


@settings(max_examples=25, deadline=None)
@given(config=configs, seed=st.integers(0, 2**63 - 1), salt=st.integers(0, 100))
def test_round_trip(config: ModelConfig, seed: int, salt: int):
    bundle = make_bundle(config=config, seed=seed, salt=salt)
    with tempfile.TemporaryDirectory() as root:
        folder = write_bundle(Path(root), bundle)
        assert folder == Path(root) / "toy" / f"seed-{seed}"
        assert_same(read_bundle(folder), bundle)


def test_shared_and_strided_tensors(tmp_path: Path):
    bundle = make_bundle()
    parameters = {name: tensor.mT.contiguous().mT for name, tensor in bundle.parameters.items() if tensor.ndim > 1}
    parameters = {**bundle.parameters, **parameters}
    parameters["blocks.1.attn.b_O"] = parameters["blocks.0.attn.b_O"].requires_grad_()
    bundle = dataclasses.replace(bundle, parameters=parameters)
    assert_same(read_bundle(write_bundle(tmp_path, bundle)), bundle)


def test_a_second_write_replaces_the_first(tmp_path: Path):
    write_bundle(tmp_path, make_bundle(salt=1))
    folder = write_bundle(tmp_path, make_bundle(salt=2, extra_files={}))
    assert_same(read_bundle(folder), make_bundle(salt=2, extra_files={}))
    assert sorted(path.name for path in tmp_path.rglob(".*")) == [".lock"]


def test_a_replaced_link_leaves_what_it_led_to(tmp_path: Path):
    kept = write_bundle(tmp_path / "disk", make_bundle(salt=1))
    (tmp_path / "root/toy").mkdir(parents=True)
    (tmp_path / "root/toy/seed-0").symlink_to(kept)
    folder = write_bundle(tmp_path / "root", make_bundle(salt=2))
    assert not folder.is_symlink()
    assert_same(read_bundle(folder), make_bundle(salt=2))
    assert_same(read_bundle(kept), make_bundle(salt=1))


def test_without_weights_or_evidence(tmp_path: Path):
    folder = write_bundle(tmp_path, make_bundle())
    (folder / "model.safetensors").unlink()
    (folder / "evaluation.safetensors").unlink()
    bundle = read_bundle(folder, weights=False, evidence=False)
    assert bundle.parameters == bundle.evidence == {}
    assert bundle.certificate["certified"]
    with pytest.raises(BundleError, match=r"model\.safetensors: file: found 'nothing'"):
        read_bundle(folder, evidence=False)


@pytest.mark.parametrize(("config", "tolerance"), [(CONFIG, "null"), (NUMERICAL, "0.05")])
def test_a_tolerance_may_be_left_out_where_answers_are_classes(tmp_path: Path, config: ModelConfig, tolerance: str):
    bundle = make_bundle(config=config)
    folder = write_bundle(tmp_path, bundle)
    text, entry = (folder / "config.json").read_text(), f'"tolerance": {tolerance}'
    assert f",\n {entry}" in text
    (folder / "config.json").write_text(text.replace(f",\n {entry}", ""))
    reseal(folder)
    if tolerance == "null":
        assert_same(read_bundle(folder), bundle)
    else:
        with pytest.raises(BundleError, match=r"config\.json: tolerance: found None"):
            read_bundle(folder)


def test_a_copy_may_have_any_name(tmp_path: Path):
    folder = write_bundle(tmp_path, make_bundle())
    copy = folder.rename(tmp_path / "copy")
    assert read_bundle(copy).case == "toy"


def test_uncertified(tmp_path: Path):
    bundle = make_bundle(certificate={**CERTIFICATE, "certified": False, "failed": ["accuracy: low"]})
    with pytest.raises(BundleError, match=r"certificate\.json: certified: found False"):
        write_bundle(tmp_path, bundle)
    assert not list(tmp_path.iterdir())
    folder = write_bundle(tmp_path, bundle, allow_uncertified=True)
    assert json.loads((folder / "manifest.json").read_text())["certified"] is False
    assert not read_index(tmp_path)[0].certified
    assert "**NO**" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"case": "../up"}, "config.json: case"),
        ({"case": ".hidden"}, "config.json: case"),
        ({"seed": -1}, "config.json: seed"),
        ({"seed": True}, "config.json: seed"),
        ({"answers": Answers("numerical", 0.1)}, "config.json: d_vocab_out: found 2"),
        ({"vocab": Vocab(("a", "BOS"), 1, None, ("x", "y"))}, "vocab.json: tokens"),
        ({"vocab": Vocab(("a", "b", "c", "BOS", "PAD"), 3, 4, ("x",))}, "config.json: d_vocab_out"),
        ({"vocab": Vocab(("a", "b", "c", "BOS", "PAD"), 3, 4, None)}, "vocab.json: classes"),
        ({"circuit": make_circuit(dataclasses.replace(CONFIG, n_layers=3))}, "circuit.json: "),
        ({"causal_model": {}}, "causal_model.json: format"),
        ({"certificate": {}}, "certificate.json: format"),
        ({"certificate": {**CERTIFICATE, "certified": 1}}, "certificate.json: certified"),
        ({"certificate": {**CERTIFICATE, "iia": None}}, "certificate.json: evidence.scored"),
        ({"certificate": {**CERTIFICATE, "iia": 2}}, "certificate.json: iia"),
        ({"certificate": {**CERTIFICATE, "iia": math.nan}}, "certificate.json: content"),
        ({"certificate": {**CERTIFICATE, "iia": torch.zeros(1)}}, "certificate.json: content"),
        ({"parameters": {}}, "model.safetensors: embed.W_E: found 'no tensor of this name'"),
        ({"evidence": {}}, "evaluation.safetensors: base_tokens"),
        ({"extra_files": {"config.json": b"{}"}}, "config.json: name"),
        ({"extra_files": {"code.py": b""}}, "code.py: name"),
        ({"extra_files": {"../up.json": b"{}"}}, "../up.json: name"),
        ({"extra_files": {"x.txt": b"\x80\x04."}}, "x.txt: content: found 'a pickle'"),
        ({"extra_files": {"x.txt": b"\xff"}}, "x.txt: content"),
    ],
)
def test_writing_checks_what_reading_checks(tmp_path: Path, changes: dict[str, Any], message: str):
    with pytest.raises(BundleError) as caught:
        write_bundle(tmp_path, make_bundle(**changes))
    assert str(caught.value).startswith(message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("embed.W_E", lambda t: t.double(), "found 'F64 [5, 8]', accepted is F32 [5, 8]"),
        ("embed.W_E", lambda t: t.half(), "found 'F16 [5, 8]', accepted is F32 [5, 8]"),
        ("embed.W_E", lambda t: t[:-1], "found 'F32 [4, 8]', accepted is F32 [5, 8]"),
        ("embed.W_E", lambda t: t * math.nan, "found 'NaN or an infinity'"),
        ("embed.W_E", lambda t: t / 0, "found 'NaN or an infinity'"),
    ],
)
def test_parameters(tmp_path: Path, name: str, change, message: str):
    bundle = make_bundle()
    bundle = dataclasses.replace(bundle, parameters={**bundle.parameters, name: change(bundle.parameters[name])})
    with pytest.raises(BundleError) as caught:
        write_bundle(tmp_path, bundle)
    assert f"model.safetensors: {name}: {message}" in str(caught.value)


def _set(row: int, position: int, value: int):
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor[row, position] = value
        return tensor

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("base_tokens", _set(0, 1, 5), "found 5, accepted is a token id from 0 to 4"),
        ("base_tokens", _set(0, 1, -1), "found -1, accepted is a token id from 0 to 4"),
        ("source_tokens", _set(0, 0, 0), "BOS missing or out of place"),
        ("source_tokens", _set(0, 2, 3), "BOS missing or out of place"),
        ("contrast/swap/tokens", _set(0, 2, 4), "a token after PAD"),
        ("base_scored", _set(0, 0, 1), "a scored BOS or PAD"),
        ("do/is_x/scored", _set(0, 4, 1), "a scored BOS or PAD"),
        ("do/is_x->fraction/target", _set(0, 1, 2), "found 2, accepted is a class from 0 to 1"),
        ("source_positions", _set(0, 1, 2), "a row that is no permutation"),
        ("source_positions", lambda t: t[:, [0, 1, 2, 4, 3]], "a BOS or PAD that moved"),
        ("do/is_x/source_positions", lambda t: t[:, [1, 0, 2, 3, 4]], "a BOS or PAD that moved"),
        ("base_target", lambda t: t.float(), "found float32 [3, 5], accepted is int64 [3, 5]"),
        ("base_target", lambda t: t[:-1], "found int64 [2, 5], accepted is int64 [3, 5]"),
        ("base_scored", lambda t: t.long(), "found int64 [3, 5], accepted is bool"),
        ("base_tokens", lambda t: t[:, 0], "[3]"),
        ("base_tokens", lambda t: t[:0], "[0, 5]"),
    ],
)
def test_evidence(tmp_path: Path, name: str, change, message: str):
    bundle = make_bundle()
    bundle = dataclasses.replace(bundle, evidence={**bundle.evidence, name: change(bundle.evidence[name])})
    with pytest.raises(BundleError) as caught:
        write_bundle(tmp_path, bundle)
    assert str(caught.value).startswith("evaluation.safetensors: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name", ["source_scored", "do/is_x/target", "do/fraction->output/scored", "contrast/swap/target"]
)
def test_missing_evidence(tmp_path: Path, name: str):
    bundle = make_bundle()
    evidence = {key: tensor for key, tensor in bundle.evidence.items() if key != name}
    with pytest.raises(BundleError, match=rf"evaluation\.safetensors: {name}: found nothing, accepted is (bool|int64)"):
        write_bundle(tmp_path, dataclasses.replace(bundle, evidence=evidence))


@pytest.mark.parametrize("name", ["do/other/target", "do/a->b/source_positions", "contrast/a/b/tokens", "x"])
def test_evidence_of_nothing(tmp_path: Path, name: str):
    bundle = make_bundle()
    evidence = {**bundle.evidence, name: bundle.evidence["base_tokens"]}
    with pytest.raises(
        BundleError, match=rf"evaluation\.safetensors: {name}: found a tensor of this name, accepted is none such"
    ):
        write_bundle(tmp_path, dataclasses.replace(bundle, evidence=evidence))


def test_index_and_card(tmp_path: Path):
    for case, seed in [("b", 1), ("a", 10), ("a", 2)]:
        write_bundle(tmp_path, make_bundle(case=case, seed=seed))
    assert [(entry.case, entry.seed) for entry in read_index(tmp_path)] == [("a", 2), ("a", 10), ("b", 1)]
    card = (tmp_path / "README.md").read_text()
    numbers = " | ".join(["100.00 %"] * 6)
    assert f"| a | 10 | single | 2 | 2 | 3 | yes | {numbers} |" in card
    (tmp_path / "README.md").write_text("# By hand\n")
    (tmp_path / "b/seed-1/manifest.json").write_text("{}")
    with pytest.warns(UserWarning, match=r"b/seed-1 is left out of bundle\.json: manifest\.json: digest"):
        write_index(tmp_path)
    assert len(read_index(tmp_path)) == 2
    assert (tmp_path / "README.md").read_text() == "# By hand\n"


def test_vocab():
    vocab = Vocab(("a", 1, True, "BOS", "PAD"), 3, 4, None)
    assert vocab.encode([True, 1, "a"], 6).tolist() == [3, 2, 1, 0, 4, 4]
    assert vocab.decode([3, 2, 1, 0, 4, 4]) == [True, 1, "a"]
    assert Vocab.from_json(vocab.to_json()) == vocab
    with pytest.raises(ValueError, match=r"found 'b', accepted are 'a', 1, True"):
        vocab.encode(["b"], 4)
    with pytest.raises(ValueError, match="found 'PAD'"):
        vocab.encode(["PAD"], 4)
    with pytest.raises(ValueError, match="found 4, accepted are at most 3"):
        vocab.encode(["a"] * 4, 4)
    with pytest.raises(ValueError, match="found 5, accepted are 0 to 4"):
        vocab.decode([5])
    with pytest.raises(ValueError, match="found 1, accepted are exactly 2"):
        Vocab(("a", "BOS"), 1, None, None).encode(["a"], 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), 0, None, None), "tokens"),
        ((("a", "a"), 0, None, None), r"tokens\[1\]"),
        ((("a", None), 0, None, None), r"tokens\[1\]"),
        ((("a", "b"), 2, None, None), "bos_id"),
        ((("a", "b"), 1, 1, None), "pad_id"),
        ((("a", "b"), 1, None, ()), "classes"),
        ((("a", "b"), 1, None, (1, [2])), r"classes\[1\]"),
    ],
)
def test_wrong_vocab(arguments, message: str):
    with pytest.raises((BundleError, TypeError), match=rf"vocab\.json: {message}|check"):
        Vocab(*arguments)


@pytest.mark.parametrize("length", [0x0280, 0x0380, 0x0480, 0x0580])
def test_a_header_whose_length_begins_like_a_pickle(length: int):
    """It is the bytes 80 02 to 80 05, which are also those with which a pickle begins."""
    data = safetensors.torch.save({"x": torch.zeros(1)}, {"note": "n"})
    own = int.from_bytes(data[:8], "little")
    data = safetensors.torch.save({"x": torch.zeros(1)}, {"note": "n" * (length - own + 1)})
    assert int.from_bytes(data[:8], "little") == length
    assert read_header(data, "model.safetensors").tensors.keys() == {"x"}
