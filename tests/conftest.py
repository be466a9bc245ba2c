"""The test run checks every annotated shape and type in `siit` while it runs."""

from __future__ import annotations

import os

# Tiny tensors: more threads cost more than they bring. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

install_import_hook("siit", "beartype.beartype")
