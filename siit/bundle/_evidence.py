"""The evidence: which tensors `evaluation.safetensors` must and may hold, and what their values may be."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.bundle._errors import wrong
from siit.bundle._tensors import Header, TensorSpec, check_specs
from siit.bundle._vocab import Vocab
from siit.certificate import Output
from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit

EVIDENCE_FILE = "evaluation.safetensors"
_BASE = "base_tokens"
_FURTHER = re.compile(r"((?:contrast|probe)/[A-Za-z0-9_.-]+)/(?:tokens|target|scored)")
"""Contrasts of the bases, and inputs of another kind whose answers are reported, as many as bases."""


def interchanges(circuit: Circuit) -> list[str]:
    """Every unit and every high-level edge that is exchanged: the X of `do/X/...`."""
    return [*circuit.alignment, *circuit.edges_by_carried]


def check_declared(header: Header, circuit: Circuit, config: ModelConfig, output: Output) -> None:
    """Raises BundleError unless names, shapes and dtypes are those that the labels call for."""
    _, shape = header.tensors.get(_BASE, ("", ()))
    rows = shape[0] if shape else 0
    if rows < 1:
        raise wrong(EVIDENCE_FILE, _BASE, list(shape), f"I64 [pairs, {config.n_ctx}], at least one pair")
    size = (rows, config.n_ctx)
    ids = TensorSpec(torch.int64, size)
    scored = TensorSpec(torch.bool, size)
    target = ids if output == "categorical" else TensorSpec(torch.float32, size)
    specs: dict[str, TensorSpec] = {}
    for run in ("base", "source"):
        specs |= {f"{run}_tokens": ids, f"{run}_target": target, f"{run}_scored": scored}
    for name in interchanges(circuit):
        specs |= {f"do/{name}/target": target, f"do/{name}/scored": scored}
    for name in header.tensors:
        further = _FURTHER.fullmatch(name)
        if name in _position_names(circuit):
            specs[name] = ids
        elif further:
            kind = further[1]
            specs |= {f"{kind}/tokens": ids, f"{kind}/target": target, f"{kind}/scored": scored}
    check_specs(header, specs, EVIDENCE_FILE)


def check_values(evidence: Mapping[str, Tensor], circuit: Circuit, config: ModelConfig, vocab: Vocab) -> None:
    """Raises BundleError unless ids are in range, sequences are whole and only real positions are scored."""
    for name, tensor in evidence.items():
        if name.endswith("tokens"):
            _check_sequences(name, tensor, vocab)
    for name, tensor in evidence.items():
        if name.endswith("scored"):
            prefix = name.removesuffix("scored")
            tokens = evidence[prefix + "tokens" if prefix + "tokens" in evidence else _BASE]
            if bool((tensor & _special(tokens, vocab)).any()):
                raise wrong(EVIDENCE_FILE, name, "a scored BOS or PAD", "scores at tokens only")
            target = evidence[prefix + "target"]
            outside = (target < 0) | (target >= config.d_vocab_out)
            if not target.is_floating_point() and bool((outside & tensor).any()):
                raise wrong(EVIDENCE_FILE, prefix + "target", "an id out of range", f"0 to {config.d_vocab_out - 1}")
        elif name in _position_names(circuit):
            _check_positions(name, tensor, _special(evidence["source_tokens"], vocab))


def _position_names(circuit: Circuit) -> set[str]:
    return {"source_positions", *(f"do/{name}/source_positions" for name in interchanges(circuit))}


def _special(tokens: Int[Tensor, "rows pos"], vocab: Vocab) -> Bool[Tensor, "rows pos"]:
    special = tokens == vocab.bos_id
    return special if vocab.pad_id is None else special | (tokens == vocab.pad_id)


def _check_sequences(name: str, tokens: Int[Tensor, "rows pos"], vocab: Vocab) -> None:
    if bool(((tokens < 0) | (tokens >= len(vocab.tokens))).any()):
        raise wrong(EVIDENCE_FILE, name, "an id out of range", f"0 to {len(vocab.tokens) - 1}")
    is_bos = tokens == vocab.bos_id
    if not bool(is_bos[:, 0].all()) or bool(is_bos[:, 1:].any()):
        raise wrong(EVIDENCE_FILE, name, "BOS missing or out of place", f"id {vocab.bos_id} first and nowhere else")
    if vocab.pad_id is not None:
        is_pad = tokens == vocab.pad_id
        if bool((is_pad[:, :-1] & ~is_pad[:, 1:]).any()):
            raise wrong(EVIDENCE_FILE, name, "a token after PAD", f"id {vocab.pad_id} at the end only")


def _check_positions(name: str, positions: Int[Tensor, "rows pos"], fixed: Bool[Tensor, "rows pos"]) -> None:
    own = torch.arange(positions.shape[1]).expand_as(positions)
    if not torch.equal(positions.sort(dim=1).values, own):
        raise wrong(EVIDENCE_FILE, name, "a row that is no permutation", "every position once in each row")
    if bool((fixed & (positions != own)).any()):
        raise wrong(EVIDENCE_FILE, name, "a BOS or PAD that moved", "BOS and PAD in place")
