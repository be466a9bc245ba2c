"""Reads the pickles of InterpBench without running what is in them.

Its configurations hold numbers, strings, a torch dtype and numpy floats, in a dict or a HookedTransformerConfig. Its
edges are a list of pairs of strings. A pickle is a program; Python's interpreter of it can be made to hang, crash and
fill the memory. So this one knows only the instructions that such data needs. None of the names that it knows
leads to a real class or function. Keys are plain, nesting and length are bounded, and no container is in two places.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from siit.bundle.untrusted import wrong

PICKLE_LIMIT = 1 << 20
"""Bytes; published files have a few thousand."""
_MOST_INSTRUCTIONS = 100_000
_DEEPEST = 50
"""Containers in each other."""
_INSTRUCTIONS = {
    *("PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"),
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
    *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("EMPTY_DICT", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"),
    "BINPERSID",
}
"""Of pickle protocols 3 to 5; 4 is what Python has written by itself since 3.8."""


class _Refused(ValueError):
    """Something that plain data does not need; says what."""


class _StandIn:
    """Takes the place of an object, and keeps its state as plain data."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: object = None


class _Config(_StandIn):
    """A HookedTransformerConfig."""


class _Device(_StandIn):
    """A torch.device."""


class _NumpyType(_StandIn):
    """A numpy.dtype."""


class _Tensor(_StandIn):
    """A tensor of a state dict, without its values."""


def _numpy_scalar(kind: object, data: object) -> float:
    """Makes a float of a numpy scalar."""
    if isinstance(kind, _NumpyType) and kind.arguments[:1] == ("f8",) and isinstance(data, bytes) and len(data) == 8:
        return float(struct.unpack("<d", data)[0])
    raise _Refused("a numpy scalar that is no float64")


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
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
}
"""All names that a pickle may ask for, and what it gets."""


_STORAGES = {
    "Float": 4,
    "Double": 8,
    "Half": 2,
    "BFloat16": 2,
    "Long": 8,
    "Int": 4,
    "Short": 2,
    "Char": 1,
    "Byte": 1,
    "Bool": 1,
}
"""Bytes of one number, by the name of torch's storage."""
_STATE_NAMES: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): dict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch._utils", "_rebuild_parameter"): _Tensor,
    **{("torch", f"{name}Storage"): size for name, size in _STORAGES.items()},
}
"""The same for a state dict."""


class _Machine:
    """Interprets one pickle.

    Args:
        names: what each name that may be asked for becomes: plain data, or one of our own classes.
        stored: record -> bytes, of the file that a state dict is in; None where the pickle may not point into one.
    """

    def __init__(self, names: Mapping[tuple[str, str], Any], stored: Mapping[str, int] | None = None) -> None:
        self._names, self._stored = names, stored
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        # By identity: containers stay alive with what holds them, and others' places are set anew when they are reused.
        self._depth: dict[int, int] = {}

    def run(self, data: bytes) -> Any:
        """Returns what the pickle makes.

        Raises:
            ValueError, IndexError, KeyError, TypeError: it is damaged, or wants what is not given.
        """
        for count, (instruction, argument, _) in enumerate(pickletools.genops(data)):
            if instruction.name not in _INSTRUCTIONS:
                raise _Refused(f"the instruction {instruction.name}")
            if count == _MOST_INSTRUCTIONS:
                raise _Refused(f"more than {_MOST_INSTRUCTIONS} instructions")
            self._step(instruction.name, argument)
        (made,) = self._stack
        return made

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                self._marks.append(len(stack))
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                if isinstance(self._memo[argument], tuple | list | dict):
                    raise _Refused("one container in two places")
                stack.append(self._memo[argument])
            case "EMPTY_LIST":
                self._push([])
            case "EMPTY_DICT":
                self._push({})
            case "EMPTY_TUPLE":
                self._push(())
            case "TUPLE":
                self._push(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._push(tuple(self._pop(int(name[-1]))))
            case "APPEND":
                self._extend(self._pop(1))
            case "APPENDS":
                self._extend(self._since_mark())
            case "SETITEM":
                self._set(self._pop(2))
            case "SETITEMS":
                self._set(self._since_mark())
            case "GLOBAL":
                stack.append(self._named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(self._named(*self._pop(2)))
            case "REDUCE" | "NEWOBJ":
                self._call(*self._pop(2))
            case "BUILD":
                (state,) = self._pop(1)
                if not isinstance(stack[-1], _StandIn | dict):
                    raise _Refused("a state of what has none")
                if isinstance(stack[-1], _StandIn):
                    stack[-1].state = state
            case "BINPERSID":
                stack.append(self._record(*self._pop(1)))
            case _:
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}.get(name, argument))

    def _pop(self, count: int) -> list[Any]:
        # What is below a mark belongs to what the mark began.
        if len(self._stack) - count < (self._marks[-1] if self._marks else 0):
            raise _Refused("too few values")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _push(self, made: Any) -> None:
        self._stack.append(made)
        self._deepen(made, made if isinstance(made, tuple) else (), anew=True)

    def _deepen(self, container: Any, items: Iterable[Any], *, anew: bool = False) -> None:
        depth = max([0 if anew else self._depth[id(container)], *(1 + self._depth_of(item) for item in items)])
        if depth > _DEEPEST:
            raise _Refused(f"more than {_DEEPEST} containers in each other")
        self._depth[id(container)] = depth

    def _depth_of(self, item: Any) -> int:
        return self._depth[id(item)] if isinstance(item, tuple | list | dict | _StandIn) else 0

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise _Refused("an item of what is no list")
        self._stack[-1].extend(items)
        self._deepen(self._stack[-1], items)

    def _set(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], dict):
            raise _Refused("a key of what is no dict")
        keys, values = items[::2], items[1::2]
        if not all(isinstance(key, str | int | float | None) for key in keys):
            raise _Refused("a key that is neither text nor a number")
        self._stack[-1].update(zip(keys, values, strict=True))
        self._deepen(self._stack[-1], values)

    def _named(self, module: object, name: object) -> Any:
        if not (isinstance(module, str) and isinstance(name, str) and (module, name) in self._names):
            raise _Refused(f"the name {module}.{name}")
        return self._names[module, name]

    def _call(self, function: Any, arguments: Any) -> None:
        if not (callable(function) and isinstance(arguments, tuple)) or (function is dict and arguments):
            raise _Refused("a call of what is no name")
        self._stack.append(made := function(*arguments))
        self._deepen(made, arguments, anew=True)

    def _record(self, place: Any) -> Any:
        """Checks that a storage is as large as the pickle says."""
        if self._stored is None or not (isinstance(place, tuple) and len(place) == 5 and place[0] == "storage"):
            raise _Refused("a value outside of the pickle")
        _, size, key, _, count = place
        if not (type(size) is int and type(count) is int and isinstance(key, str) and key in self._stored):
            raise _Refused("a storage that is not in the file")
        if not 0 <= size * count <= self._stored[key]:
            raise _Refused(f"a storage of {count} numbers in {self._stored[key]} bytes")
        record = _StandIn()
        self._deepen(record, (), anew=True)
        return record


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


def check_state(data: bytes, stored: Mapping[str, int], file: str) -> None:
    """Checks the pickle of a state dict before torch reads it.

    Args:
        data: the pickle.
        stored: record -> bytes of it in the file.
        file: its name, for errors.

    Raises:
        BundleError: it asks for more than tensors, or for more of them than there is.
    """
    _load(data, file, _STATE_NAMES, stored)


def _load(
    data: bytes,
    file: str,
    names: Mapping[tuple[str, str], Any] = _NAMES,
    stored: Mapping[str, int] | None = None,
) -> Any:
    try:
        return _Machine(names, stored).run(data)
    except _Refused as error:
        raise wrong(file, "content", str(error), "what plain data needs") from error
    # What is damaged can fail at any step; none of it has run code of others.
    except Exception as error:
        accepted = "a pickle of plain data, as InterpBench publishes it"
        raise wrong(file, "content", f"{type(error).__name__}: {error}", accepted) from error
