"""The digest of the code that evaluates: a result that other code made is not taken for one of this code's."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import siit

NOT_RUN = ("hub", "interpbench", "leaderboard", "realism", "show", "suite", "training")
"""Packages of which nothing runs in an evaluation: their changes make no result stale."""


@functools.cache
def code_sha256() -> str:
    """Computes one digest of all other modules of siit, by their names and contents."""
    root, digest = Path(siit.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name, content = path.relative_to(root), path.read_bytes()
        if name.parts[0] not in NOT_RUN:
            digest.update(f"{name.as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
