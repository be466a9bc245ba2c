"""A bundle as the files of its folder, and back; reading checks each file and that all of them agree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from siit.bundle import _json, _tensors
from siit.bundle._errors import BundleError, wrong
from siit.bundle._evidence import dump_evidence, read_evidence
from siit.bundle._labels import check_certificate, check_counts, read_circuit
from siit.bundle._names import (
    CAUSAL_FILE,
    CERTIFICATE_FILE,
    CIRCUIT_FILE,
    CONFIG_FILE,
    EVIDENCE_FILE,
    FILES,
    GRAPH_FILE,
    MANIFEST_FILE,
    TRAIN_FILE,
    VOCAB_FILE,
    WEIGHTS_FILE,
)
from siit.bundle._training import TRAINING_FILE, check_training
from siit.bundle._types import BUNDLE_FORMAT, Bundle
from siit.bundle._vocab import Vocab
from siit.certificate import OUTPUTS, Answers
from siit.certificate.schema import Schema, Special
from siit.graph.architecture import ModelConfig

_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_EXTRA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.(?:json|txt|md)")
_MAX_SEED = (1 << 63) - 1
_MAX_TOLERANCE = 1e30


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
        CERTIFICATE_FILE: _json.dump_rows(bundle.certificate, CERTIFICATE_FILE),
        TRAIN_FILE: bundle.train_yaml.encode(),
        WEIGHTS_FILE: _tensors.dump_tensors(bundle.parameters),
        EVIDENCE_FILE: dump_evidence(bundle),
        **bundle.extra_files,
    }


def decode(files: Mapping[str, bytes], bundle_format: str = BUNDLE_FORMAT) -> Bundle:
    """Reads the bundle that these files hold.

    Args:
        files: by name; weights or evidence may be left out.
        bundle_format: which they have.

    Raises:
        BundleError: names the file and the field that is wrong.
    """
    missing = [name for name in FILES if name not in files and name not in (WEIGHTS_FILE, EVIDENCE_FILE)]
    if missing:
        raise wrong(missing[0], "file", "nothing", "a file of this name")
    data = _json.parse(files[CONFIG_FILE], CONFIG_FILE)
    config, answers = _read_config(data, bundle_format)
    vocab = Vocab.from_json(_json.parse(files[VOCAB_FILE], VOCAB_FILE))
    _check_vocab(vocab, config, data["output"])
    circuit = read_circuit(files, config)
    causal_model = _json.parse(files[CAUSAL_FILE], CAUSAL_FILE)
    if not isinstance(causal_model.get("format"), str):
        raise wrong(CAUSAL_FILE, "format", causal_model.get("format"), "the format's name")
    certificate = _json.parse(files[CERTIFICATE_FILE], CERTIFICATE_FILE)
    check_certificate(certificate, circuit)
    extra = {name: content for name, content in files.items() if name not in FILES}
    for name, content in extra.items():
        _check_extra(name, content)
    evidence: dict[str, Tensor] = {}
    exhaustive = False
    if EVIDENCE_FILE in files:
        special = Special(vocab.bos_id, vocab.pad_id)
        evidence, exhaustive = read_evidence(files[EVIDENCE_FILE], Schema(circuit, answers), special, bundle_format)
        check_counts(certificate["evidence"], len(evidence["base_tokens"]), exhaustive)
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


def _read_config(data: dict[str, Any], bundle_format: str) -> tuple[ModelConfig, Answers]:
    if data.get("format") != bundle_format:
        raise wrong(CONFIG_FILE, "format", data.get("format"), f"{bundle_format!r}, as in {MANIFEST_FILE}")
    try:
        config = ModelConfig.from_json(data)
    except ValueError as error:
        raise BundleError(f"{CONFIG_FILE}: {error}") from error
    data = {"tolerance": None, **data}  # where answers are classes it may be left out
    _json.expect_keys(data, ("format", "case", "seed", "output", "tolerance", *config.to_json()), CONFIG_FILE)
    check_case(data["case"])
    check_seed(data["seed"])
    output, tolerance = data["output"], data["tolerance"]
    if type(tolerance) not in (float, int, type(None)) or (tolerance is not None and abs(tolerance) > _MAX_TOLERANCE):
        accepted = f"a number up to {_MAX_TOLERANCE:g}, or null where the output is categorical"
        raise wrong(CONFIG_FILE, "tolerance", tolerance, accepted)
    if output not in OUTPUTS:
        raise wrong(CONFIG_FILE, "output", output, " or ".join(map(repr, OUTPUTS)))
    try:
        return config, Answers(output, None if tolerance is None else float(tolerance))
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


def _read_weights(data: bytes | None, config: ModelConfig) -> dict[str, Tensor]:
    if data is None:
        return {}
    specs = {name: _tensors.TensorSpec(torch.float32, shape) for name, shape in config.parameter_shapes().items()}
    _tensors.check_specs(_tensors.read_header(data, WEIGHTS_FILE), specs, WEIGHTS_FILE)
    return _tensors.load_tensors(data, WEIGHTS_FILE)


def _check_extra(name: str, content: bytes) -> None:
    if not _EXTRA.fullmatch(name):
        raise wrong(name, "name", name, "a plain name that ends in .json, .txt or .md")
    _tensors.refuse_pickle(content, name)
    _text(content, name)
    if name.endswith(".json"):
        data = _json.parse(content, name)
        if name == TRAINING_FILE:
            check_training(data)


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{name}: content: found {error}, accepted is text in UTF-8") from error
