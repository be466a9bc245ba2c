"""Tensors in safetensors files, checked by their header before anything is allocated for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from siit.bundle._errors import BundleError, wrong
from siit.bundle._json import parse
from siit.certificate.schema import Declared, dtype_name

_HEADER_LIMIT = 16 << 20
_DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
# What a file that torch.save or pickle wrote begins with.
_ZIP, _PICKLE = b"PK\x03\x04", tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor must be."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{_DTYPES[self.dtype]} {list(self.shape)}"


@dataclass(frozen=True)
class Header:
    """What a safetensors file declares: tensor name -> (dtype, shape), and its metadata."""

    tensors: dict[str, tuple[str, tuple[int, ...]]]
    metadata: dict[str, str]


def dump_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Makes the bytes of a safetensors file; tensors may share memory, lie on any device and have any strides."""
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(plain, dict(metadata) if metadata else None)


def refuse_pickle(data: bytes, file: str) -> None:
    """Raises BundleError for what only code could open."""
    if data.startswith(_ZIP):
        raise wrong(file, "content", "a zip archive (a PyTorch checkpoint is one)", "a file without pickles")
    # The length of a safetensors header can have these bytes too; its JSON follows.
    if data.startswith(_PICKLE) and data[8:9] != b"{":
        raise wrong(file, "content", "a pickle", "a file without pickles")


def read_header(data: bytes, file: str) -> Header:
    """Reads what the file declares and allocates nothing for its tensors.

    Raises:
        BundleError: a pickle in disguise, or a header that is cut off, too large or malformed.
    """
    refuse_pickle(data, file)
    if len(data) < 8:
        raise wrong(file, "size", len(data), "a safetensors file of at least 8 bytes")
    length = int.from_bytes(data[:8], "little")
    accepted = min(_HEADER_LIMIT, len(data) - 8)
    if length > accepted:
        raise wrong(file, "header length", length, f"at most {accepted} bytes")
    content = parse(data[8 : 8 + length], file)
    metadata = content.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise wrong(file, "__metadata__", metadata, "an object of strings")
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, entry in content.items():
        dtype, shape = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
        if not isinstance(dtype, str) or not isinstance(shape, list) or not all(map(_is_size, shape)):
            raise wrong(file, name, entry, "a dtype, a shape of whole numbers and offsets")
        tensors[name] = (dtype, tuple(shape))
    return Header(tensors, metadata)


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def check_specs(header: Header, specs: Mapping[str, TensorSpec], file: str) -> None:
    """Raises BundleError unless the file declares exactly these tensors."""
    for name in header.tensors:
        if name not in specs:
            raise wrong(file, name, "a tensor of this name", "none such")
    for name, spec in specs.items():
        if name not in header.tensors:
            raise wrong(file, name, "no tensor of this name", str(spec))
        dtype, shape = header.tensors[name]
        if (dtype, shape) != (_DTYPES[spec.dtype], spec.shape):
            raise wrong(file, name, f"{dtype} {list(shape)}", str(spec))


def declared(header: Header) -> dict[str, Declared]:
    """Describes the tensors of a file by torch's names of dtypes, where a bundle has them."""
    names = {in_file: dtype_name(dtype) for dtype, in_file in _DTYPES.items()}
    return {name: Declared(names.get(dtype, dtype), shape) for name, (dtype, shape) in header.tensors.items()}


def load_tensors(data: bytes, file: str) -> dict[str, Tensor]:
    """Reads all tensors of a file whose header has been checked.

    Raises:
        BundleError: offsets that overlap, leave holes or do not fit, or values that are no number or no truth value.
    """
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise BundleError(f"{file}: content: found {error}, accepted is a whole safetensors file") from error
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bool and bool((tensor.view(torch.uint8) > 1).any()):
            raise wrong(file, name, "a byte above 1", "truth values, 0 or 1")
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise wrong(file, name, "NaN or an infinity", "finite values")
    return tensors
