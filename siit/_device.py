"""Finds out whether torch can compute on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def usable_device(name: torch.device | str, *, key: str) -> torch.device:
    """Returns a device that torch can compute on.

    Args:
        name: of the device, as torch calls it, such as cuda:1; or the device.
        key: what the argument is called.

    Raises:
        ValueError: torch cannot compute there; says why.
    """
    # Only here: what is wrong with a command is said before torch is imported.
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = f"{str(name)!r} ({(str(error).splitlines() or [''])[0]})"
        raise ValueError(f"{key}: found {found}, accepted is a device that torch can use here") from error
    return device
