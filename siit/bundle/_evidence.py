"""The evidence as a file (`evaluation.safetensors`): each tensor in the smallest dtype that holds it exactly.

In memory there are three: int64, float32 and bool. Format 1 has these in its files too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Shaped
from torch import Tensor

from siit.bundle import _tensors
from siit.bundle._errors import BundleError, wrong
from siit.bundle._names import CONFIG_FILE, EVIDENCE_FILE, SIZE_LIMITS
from siit.bundle._types import FIRST_FORMAT, Bundle
from siit.certificate.schema import Declared, EvidenceError, Schema, Special, dtype_name

_NARROWER = {torch.int64: (torch.uint8, torch.int8, torch.int16, torch.int32), torch.float32: (torch.float16,)}
_WIDER = {narrow: wide for wide, dtypes in _NARROWER.items() for narrow in dtypes}
_NAMES = {dtype_name(wide): tuple(map(dtype_name, dtypes)) for wide, dtypes in _NARROWER.items()}
_BYTES = {dtype_name(dtype): _WIDER.get(dtype, dtype).itemsize for dtype in (*_NARROWER, *_WIDER, torch.bool)}


def dump_evidence(bundle: Bundle) -> bytes:
    """Makes the bytes of the file.

    Args:
        bundle: with evidence.

    Raises:
        BundleError: evidence that lacks a tensor, or has one of another shape or dtype than in memory.
    """
    try:
        schema = Schema(bundle.circuit, bundle.answers)
        schema.check_declared({name: Declared.of(tensor) for name, tensor in bundle.evidence.items()})
    except EvidenceError as error:
        raise BundleError(f"{EVIDENCE_FILE}: {error}") from error
    except ValueError as error:
        raise BundleError(f"{CONFIG_FILE}: {error}") from error
    stored = {name: narrowed(tensor) for name, tensor in bundle.evidence.items()}
    return _tensors.dump_tensors(stored, {"exhaustive": str(bundle.exhaustive).lower()})


def read_evidence(data: bytes, schema: Schema, special: Special, bundle_format: str) -> tuple[dict[str, Tensor], bool]:
    """Reads the file.

    Args:
        data: its bytes.
        schema: knows the tensors.
        special: the ids that are no tokens.
        bundle_format: tells which dtypes the file may hold.

    Returns:
        The tensors with the dtypes that they have in memory, [pairs, n_ctx] each, and whether they are all there is.

    Raises:
        BundleError: names the tensor, what was found and what is accepted.
    """
    header = _tensors.read_header(data, EVIDENCE_FILE)
    exhaustive = header.metadata.get("exhaustive")
    if exhaustive not in ("true", "false"):
        raise wrong(EVIDENCE_FILE, "__metadata__.exhaustive", exhaustive, "'true' or 'false'")
    declared = _tensors.declared(header)
    try:
        schema.check_declared(declared, {} if bundle_format == FIRST_FORMAT else _NAMES)
        _check_size(declared)
        tensors = _tensors.load_tensors(data, EVIDENCE_FILE)
        evidence = {name: widened(tensor) for name, tensor in tensors.items()}
        schema.check_values(evidence, special)
    except EvidenceError as error:
        raise BundleError(f"{EVIDENCE_FILE}: {error}") from error
    return evidence, exhaustive == "true"


def narrowed(tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Gives a tensor in the first of uint8, int8, int16 and int32, or in float16, that holds each of its values."""
    for dtype in _NARROWER.get(tensor.dtype, ()):
        narrow = tensor.to(dtype)
        if torch.equal(narrow.to(tensor.dtype), tensor):
            return narrow
    return tensor


def widened(tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Gives whole numbers as int64 and others as float32, which changes none of them."""
    return tensor.to(_WIDER.get(tensor.dtype, tensor.dtype))


def _check_size(declared: Mapping[str, Declared]) -> None:
    """Checks how large the tensors are in memory, where none is smaller than in the file."""
    size = sum(math.prod(tensor.shape) * _BYTES[tensor.dtype] for tensor in declared.values())
    if size > SIZE_LIMITS[EVIDENCE_FILE]:
        raise wrong(EVIDENCE_FILE, "size", f"{size} bytes in memory", f"at most {SIZE_LIMITS[EVIDENCE_FILE]}")
