"""Sets up the test run: one thread, types checked as it runs with SIIT_TYPECHECK=1, and a fixture that rooms share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

# Tiny tensors: more threads cost more than they bring. Set before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"

if os.environ.get("SIIT_TYPECHECK", "0") != "0":
    from jaxtyping import install_import_hook

    install_import_hook("siit", "beartype.beartype")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT stops what is started, also where the tests run in the background of a shell that has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
