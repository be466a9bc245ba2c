"""Writes checkpoints whole or not at all, each with a checksum and its run's record, and checks them on reading."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor

from siit._text import one_line

CHECKPOINT, PREVIOUS, DAMAGED = "last.ckpt", "previous.ckpt", "damaged.ckpt"
"""The last checkpoint, the one before it, and one that could not be read and was moved aside."""
RECORD = "siit_record"
"""The key under which a checkpoint holds what its run was configured with, as JSON."""
REVISIONS, STANDS_STILL, IDLE = "revisions", "stands_still", "idle"
"""The keys of what a run has changed about its labels, of the interchange that stays wrong, and of edges found idle.

The last two are empty unless the labels have to change before training goes on."""
_MARK = b"\nsiit checkpoint sha256 "
_TRAILER = len(_MARK) + 64
_PARTS = {
    "state_dict": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "callbacks": dict,
    "loops": dict,
    "global_step": int,
    RECORD: str,
    REVISIONS: dict,
    STANDS_STILL: str,
    IDLE: list,
}
"""What a checkpoint must hold, for nothing less can be gone on from."""
_EMPTY = ("global_step", STANDS_STILL, IDLE)
"""What may be 0 or empty of it."""


class CheckpointError(ValueError):
    """A checkpoint that is damaged or lacks something; the message says what, in one line."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there; the one before it is kept as `previous.ckpt`.

    A kill at any moment leaves a whole checkpoint in one of both places.

    Args:
        record: what the run was configured with; each checkpoint holds it.
    """

    def __init__(self, record: Mapping[str, Any]) -> None:
        super().__init__()
        self._record = json.dumps(record)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Writes a checkpoint; Lightning calls this."""
        target, buffer = Path(path), io.BytesIO()
        torch.save({**checkpoint, RECORD: self._record}, buffer)
        data = buffer.getbuffer()
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.write(_MARK + hashlib.sha256(data).hexdigest().encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            beside.unlink(missing_ok=True)  # a full disk is no fuller for it
            raise
        if target.exists():
            os.replace(target, target.with_name(PREVIOUS))
        os.replace(beside, target)

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        """Reads a checkpoint; Lightning calls this."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, holds it against its checksum, and checks that training can go on from it.

    Args:
        path: as `AtomicCheckpointIO` wrote it.

    Raises:
        CheckpointError: names what is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"it cannot be read ({error.strerror or type(error).__name__})") from error
    data, trailer = memoryview(content)[:-_TRAILER], content[-_TRAILER:]
    if not trailer.startswith(_MARK):
        raise CheckpointError("it is cut off, or no checkpoint of this version: it does not end with its checksum")
    if trailer[len(_MARK) :] != hashlib.sha256(data).hexdigest().encode():
        raise CheckpointError("its bytes are not those that were written: the checksum differs")
    try:
        checkpoint = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (UnpicklingError, EOFError, LookupError, RuntimeError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"it is no checkpoint ({type(error).__name__})") from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"it is no checkpoint: found {type(checkpoint).__name__}, accepted is a dictionary")
    for name, accepted in _PARTS.items():
        if not isinstance(checkpoint.get(name), accepted) or not (checkpoint[name] or name in _EMPTY):
            raise CheckpointError(f"it has no {name}")
    for name, value in checkpoint["state_dict"].items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"its weight {one_line(str(name))} is no tensor")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(f"its weight {one_line(str(name))} is not finite")
    return checkpoint


def recorded(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Reads what the run of a checkpoint was configured with.

    Raises:
        CheckpointError: it is no record.
    """
    try:
        record = json.loads(checkpoint[RECORD])
    except (ValueError, RecursionError) as error:
        raise CheckpointError("its record of the configuration is no JSON") from error
    if not isinstance(record, dict):
        raise CheckpointError("its record of the configuration is no object")
    return record
