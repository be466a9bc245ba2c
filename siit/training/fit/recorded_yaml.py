"""Reads a recorded configuration (`train.yaml`), which anyone may have written: within bounds, each fault one line."""

from __future__ import annotations

from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from siit._text import one_line

_MAX_BYTES, _MAX_DEPTH = 1 << 20, 32
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RecordError(ValueError):
    """A recorded configuration that cannot be read; the message says why, in one line."""


def read_recorded(content: bytes) -> dict[str, Any]:
    """Reads what `train.yaml` holds.

    Args:
        content: of the file.

    Raises:
        RecordError: too large or deep, aliases or tags, or no mapping in YAML.
    """
    if len(content) > _MAX_BYTES:
        raise RecordError(f"found {len(content)} bytes, accepted are at most {_MAX_BYTES}")
    try:
        text = content.decode()
        _check_events(text)
        container: Any = OmegaConf.to_container(OmegaConf.create(text))
    except UnicodeDecodeError as error:
        raise RecordError("found bytes that are no UTF-8, accepted is text") from error
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"no configuration in YAML: {one_line(error)[:200]}") from error
    if not isinstance(container, dict) or not all(isinstance(key, str) for key in container):
        raise RecordError(f"found {type(container).__name__}, accepted is a mapping of names")
    return container


def _check_events(text: str) -> None:
    """Reads the text as events, before anything is made of it: an alias can stand for any amount of data."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise RecordError(f"{_line(event)}found an alias, accepted is plain data")
        if tag := getattr(event, "tag", None):
            raise RecordError(f"{_line(event)}found the tag {one_line(tag)[:80]}, accepted is none")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                raise RecordError(f"{_line(event)}found more than {_MAX_DEPTH} levels, accepted are fewer")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}: " if event.start_mark is not None else ""
