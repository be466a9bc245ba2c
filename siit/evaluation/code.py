"""The digest of the code that evaluates: a result that other code made is not taken for one of this code's."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import siit

PACKAGES = (
    "bundle",
    "causal",
    "certificate",
    "discovery",
    "evaluation",
    "graph",
    "interchange",
    "localization",
    "scoring",
    "tasks",
    "transformer",
)
"""What an evaluation runs on. No change of the rest of siit makes results stale."""


@functools.cache
def code_sha256() -> str:
    """Computes one digest of all modules of `PACKAGES`, by their names and contents."""
    root, digest = Path(siit.__file__).parent, hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
