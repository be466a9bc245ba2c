"""The files of one published InterpBench case: weights, configuration, labels and hyperparameters."""

from __future__ import annotations

import dataclasses
import io
import math
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siit.bundle import BundleError
from siit.bundle.untrusted import parse, read_file, wrong
from siit.graph.architecture import Edge, ModelConfig
from siit.graph.hooks import ARROW, EMBED_HOOKS, edges_by_hooks
from siit.interpbench._pickles import PICKLE_LIMIT, check_state, read_config, read_edges

WEIGHTS, CONFIG, EDGES, META = "ll_model*.pth", "ll_model_cfg*.pkl", "edges.pkl", "meta*.json"
_RECORDS = 10_000
_OVERHEAD = 16 << 20
"""Bytes of a file of weights that are neither weights nor masks."""
_BUFFERS = ("mask", "IGNORE")
"""Of HookedTransformer's state, what is no parameter."""
_FIELDS = tuple(field.name for field in dataclasses.fields(ModelConfig))
_PLAIN: Mapping[str, object] = {
    "use_attn_scale": True,
    "scale_attn_by_inverse_layer_idx": False,
    "parallel_attn_mlp": False,
    "gated_mlp": False,
    "use_local_attn": False,
    "final_rms": False,
    "post_embedding_ln": False,
    "use_qk_norm": False,
    "use_normalization_before_and_after": False,
    "num_experts": None,
    "n_key_value_heads": None,
    "attn_scores_soft_cap": -1.0,
    "output_logits_soft_cap": -1.0,
}
"""Fields of HookedTransformerConfig that change what a model computes, and what they must be for ours."""
_RESID_PRE = "blocks.0.hook_resid_pre"
"""What the embeddings make together, where they are not told apart."""
_HEAD_INPUT = re.compile(r"blocks\.(?P<layer>\d+)\.(?:hook_[qkv]_input|attn\.hook_[qkv])(?P<head>\[\d+\])")
_HEAD_OUTPUT = re.compile(r"blocks\.(?P<layer>\d+)\.attn\.hook_(?:[qkv]|result)(?P<head>\[\d+\])")
_MLP_INPUT = re.compile(r"blocks\.(?P<layer>\d+)\.hook_mlp_in")
_MLP_OUTPUT = re.compile(r"blocks\.(?P<layer>\d+)\.hook_mlp_out")


@dataclass(frozen=True, eq=False)
class PublishedCase:
    """What the files of a published case hold, under our names.

    Attributes:
        config: the architecture.
        parameters: the weights, float32, by their HookedTransformer names.
        edges: the labels: the edges between components that are said to be the circuit.
        meta: the training's hyperparameters, as published.
    """

    config: ModelConfig
    parameters: Mapping[str, Tensor]
    edges: tuple[Edge, ...]
    meta: Mapping[str, Any]


def read_case(folder: str | Path) -> PublishedCase:
    """Reads a case's folder: `ll_model*.pth`, `ll_model_cfg*.pkl`, `edges.pkl` and `meta*.json`, one of each.

    Weights are read with `weights_only=True`, pickles by an interpreter that knows plain data only; nothing in the
    files runs. Edges within a component (`hook_q_input` to `hook_q`, say) are left out: they are no choice.

    Raises:
        BundleError: a file that is missing, damaged, made to harm or of another architecture; names it and the field.
    """
    folder = Path(folder)
    paths = {pattern: _only(folder, pattern) for pattern in (WEIGHTS, CONFIG, EDGES, META)}
    weights, fields, edges, meta = (paths[pattern] for pattern in (WEIGHTS, CONFIG, EDGES, META))
    config = _read_config(read_config(_read(fields, PICKLE_LIMIT), fields.name), fields.name)
    return PublishedCase(
        config=config,
        parameters=_read_weights(_read(weights, _weights_limit(config)), weights.name, config),
        edges=tuple(_read_edges(read_edges(_read(edges, PICKLE_LIMIT), edges.name), config)),
        meta=parse(_read(meta, PICKLE_LIMIT), meta.name),
    )


def _read(path: Path, limit: int) -> bytes:
    # In the Hub's cache, files are links to blobs in another folder.
    return read_file(path, path.resolve().parent, limit)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise wrong(str(folder), pattern, names, "one file, as InterpBench publishes it")
    return found[0]


def _read_config(fields: Mapping[str, Any], file: str) -> ModelConfig:
    for name, accepted in _PLAIN.items():
        if name in fields and (type(fields[name]), fields[name]) != (type(accepted), accepted):
            raise wrong(file, name, fields[name], repr(accepted))
    missing = [name for name in _FIELDS if name not in fields]
    if missing:
        raise wrong(file, "fields", sorted(fields), f"all of {', '.join(_FIELDS)}; missing are {', '.join(missing)}")
    try:
        config = ModelConfig.from_json({name: fields[name] for name in _FIELDS})
    except ValueError as error:
        raise BundleError(f"{file}: {error}") from error
    scale = fields.get("attn_scale", -1.0)
    if not (isinstance(scale, float) and (scale == -1.0 or math.isclose(scale, math.sqrt(config.d_head)))):
        raise wrong(file, "attn_scale", scale, f"the square root of d_head, {math.sqrt(config.d_head)}")
    return config


def _read_weights(data: bytes, file: str, config: ModelConfig) -> dict[str, Tensor]:
    stream = io.BytesIO(data)
    try:
        _check_archive(stream, file)
        stream.seek(0)
        state = torch.load(stream, map_location="cpu", weights_only=True)
    except BundleError:
        raise
    # Torch raises errors of many kinds here, and says in them what it refused.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise wrong(file, "content", f"{type(error).__name__}: {reason}", "a state dict of tensors") from error
    if not isinstance(state, dict):
        raise wrong(file, "content", type(state).__name__, "a state dict of tensors")
    shapes = config.parameter_shapes()
    for name in state:
        if name not in shapes and str(name).rpartition(".")[2] not in _BUFFERS:
            raise wrong(file, str(name), "a tensor of this name", "those of a HookedTransformer")
    return {name: _checked(state.get(name), name, shape, file) for name, shape in shapes.items()}


def _check_archive(stream: io.BytesIO, file: str) -> None:
    """Checks what torch would read without a limit: the sizes in the archive, and what its pickle asks for.

    Raises:
        BundleError: it is no archive of torch.save, or made to grow.
    """
    if not zipfile.is_zipfile(stream):
        raise wrong(file, "content", "no archive", "an archive as torch.save writes it since torch 1.6")
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise wrong(file, packed[0], "compressed data", "data as torch.save writes it, uncompressed")
        total = sum(entry.file_size for entry in entries)
        if total > stream.getbuffer().nbytes or len(entries) > _RECORDS:
            raise wrong(file, "content", f"{len(entries)} records of {total} bytes", "no more bytes than the file has")
        pickles = [entry for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1 or pickles[0].file_size > PICKLE_LIMIT:
            raise wrong(
                file, "data.pkl", [entry.file_size for entry in pickles], f"one, of {PICKLE_LIMIT} bytes at most"
            )
        stored = {entry.filename.rpartition("/")[2]: entry.file_size for entry in entries if "/data/" in entry.filename}
        check_state(archive.read(pickles[0]), stored, file)


def _weights_limit(config: ModelConfig) -> int:
    """How large a file of weights may be, in bytes: with the masks of attention, which are published too."""
    return 4 * config.n_parameters + config.n_layers * config.n_ctx**2 + _OVERHEAD


def _checked(tensor: object, name: str, shape: tuple[int, ...], file: str) -> Tensor:
    accepted = f"float32 {list(shape)}"
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
        raise wrong(file, name, type(tensor).__name__, accepted)
    if tensor.dtype != torch.float32 or tuple(tensor.shape) != shape:
        raise wrong(file, name, f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}", accepted)
    # A view can be far larger than what is stored of it.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise wrong(file, name, "a view that repeats its values", accepted)
    if not bool(tensor.isfinite().all()):
        raise wrong(file, name, "NaN or an infinity", "finite values")
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _read_edges(pairs: Collection[tuple[str, str]], config: ModelConfig) -> dict[Edge, None]:
    known = edges_by_hooks(config)
    found: dict[Edge, None] = {}
    for sender, receiver in pairs:
        if _is_within_component(sender, receiver):
            continue
        for hook in EMBED_HOOKS.values() if sender == _RESID_PRE else (sender,):
            edge = known.get(f"{hook}{ARROW}{receiver}")
            if edge is None:
                accepted = f"an edge between components, such as {next(iter(known))}"
                raise wrong(EDGES, "edge", f"{sender}{ARROW}{receiver}", accepted)
            found[edge] = None
    if not found:
        raise wrong(EDGES, "content", f"{len(pairs)} edges within components", "at least one edge between two")
    return found


def _is_within_component(sender: str, receiver: str) -> bool:
    for one, other in ((_HEAD_INPUT, _HEAD_OUTPUT), (_MLP_INPUT, _MLP_OUTPUT)):
        start, end = one.fullmatch(sender), other.fullmatch(receiver)
        if start and end and start.groups() == end.groups():
            return True
    return False
