"""The two wings: what loads, certifies and publishes needs the base install alone."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import siit

TRAINING_LIBRARIES = ("tracr", "jax", "haiku", "hydra", "omegaconf", "pytorch_lightning", "lightning_fabric", "wandb")
DOORS_OF_TRAINING = ("siit.train", "siit.cases")
"""Command lines that need the extra `train`."""


def _modules() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages(siit.__path__, "siit.")]
    return [name for name in names if not name.startswith("siit.training") and not name.endswith("__main__")]


BASE = [name for name in _modules() if name not in DOORS_OF_TRAINING]


def _import(names: list[str]) -> None:
    """Imports modules, one after the other, in a fresh process, and fails with the first that brings in a library."""
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    found = [library for library in {TRAINING_LIBRARIES!r} if library in sys.modules]\n"
        "    found += [module for module in sys.modules if module.startswith(('siit.training', 'tracr_cases'))]\n"
        "    assert not found, f'{name} imports {found}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_base_wing_never_imports_the_training_wing():
    assert len(BASE) > 50 and "siit.interchange.evidence" in BASE
    _import(BASE)


def test_the_check_sees_a_module_that_does():
    with pytest.raises(AssertionError, match="siit.training.data imports"):
        _import(["siit.graph", "siit.training.data"])
