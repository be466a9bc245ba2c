"""What command lines share: `key=value` arguments, and the device to compute on."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class UsageError(ValueError):
    """Arguments that make no sense; the message says what is accepted."""


def read_keys(
    arguments: Sequence[str], accepted: Collection[str], needed: Collection[str] = (), example: str = ""
) -> dict[str, str]:
    """Key -> value of `key=value` arguments.

    Args:
        accepted: all keys.
        needed: those that must be there.
        example: shown where one of them is missing.

    Raises:
        UsageError: an unknown key, a key twice or missing, or one without a value.
    """
    values: dict[str, str] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if key not in accepted or not equals:
            near = difflib.get_close_matches(key.lstrip("-"), accepted, n=1)
            hint = f"did you mean {near[0]}=...? " if near else ""
            names = ", ".join(f"{name}=" for name in accepted)
            raise UsageError(f"{argument}: no such key; {hint}accepted are {names}")
        if key in values:
            raise UsageError(f"{key}: found twice, accepted is once")
        if not text:
            raise UsageError(f"{key}: found nothing after the =, accepted is a value")
        values[key] = text
    missing = [name for name in needed if name not in values]
    if missing:
        raise UsageError(f"{', '.join(missing)}: missing, for example {example}")
    return values


def usable_device(name: str, *, key: str) -> torch.device:
    """The device of this name.

    Args:
        key: what the argument is called.

    Raises:
        ValueError: torch cannot compute there; says why.
    """
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{key}: found {name!r} ({reason}), accepted is a device that torch can use here") from error
    return device
