"""JSON as bundles have it: plain, finite, without duplicate keys, of bounded size; and sealed by its own digest."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from siit.bundle._errors import BundleError, wrong

JSON_LIMIT = 64 << 20
_DIGEST = "digest"
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def dump(data: Mapping[str, Any], file: str, *, indent: int | None = 1) -> bytes:
    """Makes the bytes of a JSON file.

    Raises:
        BundleError: the data holds something that JSON has no word for.
    """
    return (_text(data, file, indent) + "\n").encode()


def dump_rows(data: Mapping[str, Any], file: str) -> bytes:
    """Makes the bytes of a JSON file with one line for each field, so that numbers are found, and tables are short.

    Raises:
        BundleError: the data holds something that JSON has no word for.
    """
    rows = [f" {_text(name, file, None)}: {_text(value, file, None)}" for name, value in data.items()]
    return ("{\n" + ",\n".join(rows) + "\n}\n").encode()


def _text(data: Any, file: str, indent: int | None) -> str:
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        return json.dumps(data, indent=indent, separators=separators, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"{file}: content: found {error}, accepted is plain JSON with finite numbers") from error


def parse(data: bytes, file: str) -> dict[str, Any]:
    """Reads the object that a JSON file holds.

    Raises:
        BundleError: too large, not JSON in UTF-8, not an object; a duplicate key, NaN, an infinity or half a character.
    """
    if len(data) > JSON_LIMIT:
        raise wrong(file, "size", len(data), f"at most {JSON_LIMIT} bytes")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            raise wrong(file, next(key for key in keys if keys.count(key) > 1), "the key twice", "each key once")
        return result

    def constant(name: str) -> NoReturn:
        raise wrong(file, "number", name, "a finite number")

    def finite(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else constant(text)

    try:
        text = data.decode("utf-8")
        result = json.loads(text, object_pairs_hook=unique, parse_constant=constant, parse_float=finite)
        if _ESCAPED_SURROGATE.search(text):
            # Half of a pair, which an escape can write, is in no text that can be printed or written.
            json.dumps(result, ensure_ascii=False).encode("utf-8")
    except BundleError:
        raise
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file}: content: found {error}, accepted is JSON in UTF-8") from error
    if not isinstance(result, dict):
        raise wrong(file, "content", result, "a JSON object")
    return result


def expect_keys(data: Mapping[str, Any], keys: tuple[str, ...], file: str, field: str = "fields") -> None:
    """Raises BundleError unless `data` has exactly these keys."""
    if set(data) != set(keys):
        raise wrong(file, field, sorted(data), f"exactly {', '.join(keys)}")


def seal(data: Mapping[str, Any], file: str) -> bytes:
    """Makes the bytes of a JSON file that carries the sha256 of its own content, so that any change to it shows."""
    return dump({**data, _DIGEST: hashlib.sha256(dump(data, file)).hexdigest()}, file)


def unseal(data: bytes, file: str) -> dict[str, Any]:
    """Reads what `seal` was given.

    Raises:
        BundleError: any byte differs from what `seal` wrote.
    """
    content = parse(data, file)
    digest = content.pop(_DIGEST, None)
    if seal(content, file) != data:
        raise wrong(file, _DIGEST, digest, "the sha256 of the file's content, in the layout that siit writes")
    return content
