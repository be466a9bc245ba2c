"""Reads the pickles of InterpBench without running what is in them.

Its configurations hold numbers, strings, a torch dtype and numpy floats, in a dict or a HookedTransformerConfig. Its
edges are a list of pairs of strings. A pickle is a program, so two fences stand before the interpreter. It may use only
the instructions that such data needs. And none of the names that it may ask for leads to a real class or function.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections.abc import Mapping
from typing import Any

from siit.bundle import BundleError
from siit.bundle.untrusted import wrong

PICKLE_LIMIT = 1 << 20
"""Bytes; published files have a few thousand."""
_INSTRUCTIONS = {
    *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_DICT", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"),
}
"""Of pickle protocols 3 to 5; 4 is what Python has written by itself since 3.8."""


class _StandIn:
    """Takes the place of an object, and keeps its state as plain data."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        # Without this, the interpreter would set attributes of its own choice.
        self.state = state


class _Config(_StandIn):
    """A HookedTransformerConfig."""


class _Device(_StandIn):
    """A torch.device."""


class _NumpyType(_StandIn):
    """A numpy.dtype."""


class _NumpyScalar:
    """A numpy scalar, which becomes a float."""

    def __new__(cls, kind: object, data: object) -> Any:
        known = isinstance(kind, _NumpyType) and kind.arguments[:1] == ("f8",) and isinstance(data, bytes)
        if not known or len(data) != 8:  # type: ignore[arg-type]
            raise pickle.UnpicklingError("a numpy scalar that is no float64")
        return struct.unpack("<d", data)[0]  # type: ignore[arg-type]

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a numpy scalar with a state")


_CONFIG_HOMES = (
    "transformer_lens.HookedTransformerConfig",
    "transformer_lens.config.HookedTransformerConfig",
    "transformer_lens.config.hooked_transformer_config",
)
"""Where versions of TransformerLens have had their HookedTransformerConfig."""
_NAMES: Mapping[tuple[str, str], Any] = {
    **{(home, "HookedTransformerConfig"): _Config for home in _CONFIG_HOMES},
    **{("torch", name): f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64")},
    ("torch", "device"): _Device,
    ("numpy", "dtype"): _NumpyType,
    ("numpy.core.multiarray", "scalar"): _NumpyScalar,
    ("numpy._core.multiarray", "scalar"): _NumpyScalar,
}
"""All names that a pickle may ask for, and what it gets."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"the name {module}.{name}")
        return _NAMES[module, name]


def read_config(data: bytes, file: str) -> dict[str, Any]:
    """Reads the fields of a pickled dict or HookedTransformerConfig.

    Args:
        data: the file's content.
        file: its name, for errors.

    Raises:
        BundleError: anything else, or anything besides; nothing of it has run.
    """
    content = _load(data, file)
    if isinstance(content, _Config):
        content = content.state
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise wrong(file, "content", content, "a dict or a HookedTransformerConfig")
    return content


def read_edges(data: bytes, file: str) -> list[tuple[str, str]]:
    """Reads the pairs of hook names of a pickled list.

    Args:
        data: the file's content.
        file: its name, for errors.

    Raises:
        BundleError: anything else, or anything besides; nothing of it has run.
    """
    content = _load(data, file)
    if not isinstance(content, list):
        raise wrong(file, "content", content, "a list of edges")
    for index, edge in enumerate(content):
        if not (isinstance(edge, tuple | list) and len(edge) == 2 and all(isinstance(end, str) for end in edge)):
            raise wrong(file, f"[{index}]", edge, "a pair of hook names")
    return [(sender, receiver) for sender, receiver in content]


def _load(data: bytes, file: str) -> Any:
    accepted = "a pickle of plain data, as InterpBench publishes it"
    try:
        _check_instructions(data, file)
        return _Unpickler(io.BytesIO(data)).load()
    except BundleError:
        raise
    # What a damaged pickle raises is documented to be anything; none of it has run code of others.
    except Exception as error:
        raise wrong(file, "content", f"{type(error).__name__}: {error}", accepted) from error


def _check_instructions(data: bytes, file: str) -> None:
    for instruction, argument, _ in pickletools.genops(data):
        if instruction.name not in _INSTRUCTIONS:
            raise wrong(file, "content", f"the instruction {instruction.name}", "what plain data needs")
        # The interpreter makes room for as many places as the number says.
        if instruction.name == "LONG_BINPUT" and not (isinstance(argument, int) and argument < len(data)):
            raise wrong(file, "content", f"place {argument}", "fewer places than bytes")
