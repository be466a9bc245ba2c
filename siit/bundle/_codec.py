"""A bundle as the files of its folder, and back; reading checks each file and that all of them agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from siit.bundle import _json, _tensors
from siit.bundle._errors import BundleError, wrong
from siit.bundle._types import BUNDLE_FORMAT, Bundle
from siit.bundle._vocab import VOCAB_FILE, Vocab
from siit.certificate import Answers, Certificate
from siit.certificate.schema import EvidenceError, Schema, Special
from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit

CONFIG_FILE, CIRCUIT_FILE, GRAPH_FILE = "config.json", "circuit.json", "graph.json"
CAUSAL_FILE, CERTIFICATE_FILE, TRAIN_FILE = "causal_model.json", "certificate.json", "train.yaml"
WEIGHTS_FILE, EVIDENCE_FILE = "model.safetensors", "evaluation.safetensors"
MANIFEST_FILE = "manifest.json"
FILES = (
    CONFIG_FILE,
    VOCAB_FILE,
    CIRCUIT_FILE,
    GRAPH_FILE,
    CAUSAL_FILE,
    CERTIFICATE_FILE,
    TRAIN_FILE,
    WEIGHTS_FILE,
    EVIDENCE_FILE,
)
SIZE_LIMITS = {WEIGHTS_FILE: 4 << 30, EVIDENCE_FILE: 4 << 30, TRAIN_FILE: 1 << 20}
"""Bytes; every other file is held to the limit for JSON."""

_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_EXTRA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(?:json|txt|md)")
_CIRCUIT_TEXTS = {"nodes": ("name", "unit", "role", "program"), "edges": ("sender", "receiver", "slot", "carries")}
_MAX_SEED = (1 << 63) - 1


def encode(bundle: Bundle) -> dict[str, bytes]:
    """Makes the content of every file but the manifest.

    Raises:
        BundleError: the bundle cannot be written as plain files.
    """
    config = {
        "format": BUNDLE_FORMAT,
        "case": bundle.case,
        "seed": bundle.seed,
        "output": bundle.answers.output,
        "tolerance": bundle.answers.tolerance,
        **bundle.config.to_json(),
    }
    for name in bundle.extra_files:
        if name in (*FILES, MANIFEST_FILE):
            raise wrong(name, "name", "an extra file of this name", "a name that no file of the bundle has")
    return {
        CONFIG_FILE: _json.dump(config, CONFIG_FILE),
        VOCAB_FILE: _json.dump(bundle.vocab.to_json(), VOCAB_FILE),
        CIRCUIT_FILE: _json.dump(bundle.circuit.to_json(), CIRCUIT_FILE),
        GRAPH_FILE: _json.dump(bundle.circuit.to_graph_json(), GRAPH_FILE, indent=None),
        CAUSAL_FILE: _json.dump(bundle.causal_model, CAUSAL_FILE, indent=None),
        CERTIFICATE_FILE: _json.dump(bundle.certificate, CERTIFICATE_FILE),
        TRAIN_FILE: bundle.train_yaml.encode(),
        WEIGHTS_FILE: _tensors.dump_tensors(bundle.parameters),
        EVIDENCE_FILE: _tensors.dump_tensors(bundle.evidence, {"exhaustive": str(bundle.exhaustive).lower()}),
        **bundle.extra_files,
    }


def decode(files: Mapping[str, bytes]) -> Bundle:
    """Reads the bundle that these files hold; weights or evidence may be left out.

    Raises:
        BundleError: names the file and the field that is wrong.
    """
    missing = [name for name in FILES if name not in files and name not in (WEIGHTS_FILE, EVIDENCE_FILE)]
    if missing:
        raise wrong(missing[0], "file", "nothing", "a file of this name")
    data = _json.parse(files[CONFIG_FILE], CONFIG_FILE)
    config, answers = _read_config(data)
    vocab = Vocab.from_json(_json.parse(files[VOCAB_FILE], VOCAB_FILE))
    _check_vocab(vocab, config, data["output"])
    circuit = _read_circuit(files, config)
    causal_model = _json.parse(files[CAUSAL_FILE], CAUSAL_FILE)
    if not isinstance(causal_model.get("format"), str):
        raise wrong(CAUSAL_FILE, "format", causal_model.get("format"), "the format's name")
    certificate = _json.parse(files[CERTIFICATE_FILE], CERTIFICATE_FILE)
    try:
        Certificate.from_json(certificate)
    except ValueError as error:
        raise BundleError(f"{CERTIFICATE_FILE}: {str(error).removeprefix('certificate: ')}") from error
    extra = {name: content for name, content in files.items() if name not in FILES}
    for name, content in extra.items():
        _check_extra(name, content)
    evidence, exhaustive = _read_evidence(files.get(EVIDENCE_FILE), Schema(circuit, answers), vocab)
    return Bundle(
        config=config,
        case=data["case"],
        seed=data["seed"],
        answers=answers,
        parameters=_read_weights(files.get(WEIGHTS_FILE), config),
        vocab=vocab,
        circuit=circuit,
        causal_model=causal_model,
        evidence=evidence,
        exhaustive=exhaustive,
        certificate=certificate,
        train_yaml=_text(files[TRAIN_FILE], TRAIN_FILE),
        extra_files=extra,
    )


def check_case(case: object, file: str = CONFIG_FILE) -> str:
    """Checks the case's name, which is also a folder's.

    Raises:
        BundleError: it could lead out of the bundle, or is no name at all.
    """
    if not isinstance(case, str) or not _CASE.fullmatch(case):
        raise wrong(file, "case", case, "up to 100 letters, digits, - and _, a letter or digit first")
    return case


def check_seed(seed: object, file: str = CONFIG_FILE) -> int:
    """Checks the seed.

    Raises:
        BundleError: it is not a whole number from 0 up.
    """
    if type(seed) is not int or not 0 <= seed <= _MAX_SEED:
        raise wrong(file, "seed", seed, f"a whole number from 0 to {_MAX_SEED}")
    return seed


def _read_config(data: dict[str, Any]) -> tuple[ModelConfig, Answers]:
    if data.get("format") != BUNDLE_FORMAT:
        raise wrong(CONFIG_FILE, "format", data.get("format"), repr(BUNDLE_FORMAT))
    try:
        config = ModelConfig.from_json(data)
    except ValueError as error:
        raise BundleError(f"{CONFIG_FILE}: {error}") from error
    _json.expect_keys(data, ("format", "case", "seed", "output", "tolerance", *config.to_json()), CONFIG_FILE)
    check_case(data["case"])
    check_seed(data["seed"])
    output, tolerance = data["output"], data["tolerance"]
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | None):
        raise wrong(CONFIG_FILE, "tolerance", tolerance, "a number, or null where the output is categorical")
    try:
        return config, Answers(output, tolerance)
    except ValueError as error:
        raise BundleError(f"{CONFIG_FILE}: {error}") from error


def _check_vocab(vocab: Vocab, config: ModelConfig, output: str) -> None:
    if len(vocab.tokens) != config.d_vocab:
        raise wrong(VOCAB_FILE, "tokens", f"{len(vocab.tokens)} tokens", f"d_vocab of {CONFIG_FILE}, {config.d_vocab}")
    if (vocab.classes is None) != (output == "numerical"):
        raise wrong(VOCAB_FILE, "classes", vocab.classes, f"null just where the output is numerical; it is {output}")
    classes = 1 if vocab.classes is None else len(vocab.classes)
    if classes != config.d_vocab_out:
        accepted = f"{classes}: the classes of {VOCAB_FILE}, or 1 where the output is numerical"
        raise wrong(CONFIG_FILE, "d_vocab_out", config.d_vocab_out, accepted)


def _read_circuit(files: Mapping[str, bytes], config: ModelConfig) -> Circuit:
    data = _json.parse(files[CIRCUIT_FILE], CIRCUIT_FILE)
    for key, fields in _CIRCUIT_TEXTS.items():
        for index, item in enumerate(_objects(data.get(key), key)):
            for name in fields:
                if not isinstance(item.get(name), str | None):
                    raise wrong(CIRCUIT_FILE, f"{key}[{index}].{name}", item[name], "text or null")
    try:
        circuit = Circuit.from_json(data, config)
        again = circuit.to_json()
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise BundleError(f"{CIRCUIT_FILE}: {str(error).removeprefix('circuit: ')}") from error
    for key in sorted({*again, *data}):
        if not _same(again.get(key), data.get(key, {} if key == "excluded" else None)):
            raise wrong(CIRCUIT_FILE, key, data.get(key), "what follows from the alignment and the architecture")
    if _json.parse(files[GRAPH_FILE], GRAPH_FILE) != circuit.to_graph_json():
        raise wrong(GRAPH_FILE, "content", "another circuit", f"the circuit of {CIRCUIT_FILE}")
    return circuit


def _objects(items: object, key: str) -> list[dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise wrong(CIRCUIT_FILE, key, items, "a list of objects")
    return items


def _same(left: Any, right: Any) -> bool:
    """Equal, the order of lists of objects aside."""
    if isinstance(left, list) and isinstance(right, list):
        return sorted(map(repr, map(_ordered, left))) == sorted(map(repr, map(_ordered, right)))
    return bool(left == right)


def _ordered(item: Any) -> Any:
    return sorted(item.items()) if isinstance(item, dict) else item


def _read_weights(data: bytes | None, config: ModelConfig) -> dict[str, Tensor]:
    if data is None:
        return {}
    specs = {name: _tensors.TensorSpec(torch.float32, shape) for name, shape in config.parameter_shapes().items()}
    _tensors.check_specs(_tensors.read_header(data, WEIGHTS_FILE), specs, WEIGHTS_FILE)
    return _tensors.load_tensors(data, WEIGHTS_FILE)


def _read_evidence(data: bytes | None, schema: Schema, vocab: Vocab) -> tuple[dict[str, Tensor], bool]:
    if data is None:
        return {}, False
    header = _tensors.read_header(data, EVIDENCE_FILE)
    exhaustive = header.metadata.get("exhaustive")
    if exhaustive not in ("true", "false"):
        raise wrong(EVIDENCE_FILE, "__metadata__.exhaustive", exhaustive, "'true' or 'false'")
    try:
        schema.check_declared(_tensors.declared(header))
        evidence = _tensors.load_tensors(data, EVIDENCE_FILE)
        schema.check_values(evidence, Special(vocab.bos_id, vocab.pad_id))
    except EvidenceError as error:
        raise BundleError(f"{EVIDENCE_FILE}: {error}") from error
    return evidence, exhaustive == "true"


def _check_extra(name: str, content: bytes) -> None:
    if not _EXTRA.fullmatch(name):
        raise wrong(name, "name", name, "a plain name that ends in .json, .txt or .md")
    _tensors.refuse_pickle(content, name)
    _text(content, name)
    if name.endswith(".json"):
        _json.parse(content, name)


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{name}: content: found {error}, accepted is text in UTF-8") from error
