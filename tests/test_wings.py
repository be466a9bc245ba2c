"""The two wings: what loads, certifies and publishes needs the base install alone."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import siit

TRAINING_LIBRARIES = ("tracr", "jax", "haiku", "hydra", "omegaconf", "pytorch_lightning", "lightning_fabric", "wandb")
DOORS_OF_TRAINING = ("siit.train",)
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


def _sources() -> dict[str, ast.Module]:
    """Every module of siit, parsed, by its dotted name."""
    root = Path(siit.__file__).parent
    names = {path: ("siit", *path.relative_to(root).with_suffix("").parts) for path in sorted(root.rglob("*.py"))}
    return {".".join(parts).removesuffix(".__init__"): ast.parse(path.read_text()) for path, parts in names.items()}


def _imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports, at its top or later; all of them are absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _trespasses(module: str, tree: ast.AST) -> list[str]:
    """Imports of what is private to a package that the module is no part of."""
    found = []
    for name in _imports(tree):
        parts = name.split(".")
        private = [place for place, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
        if parts[0] == "siit" and private and not f"{module}.".startswith(".".join(parts[: private[0]]) + "."):
            found.append(f"{module} imports {name}")
    return found


def test_what_is_private_to_a_package_is_imported_in_it_alone():
    assert [line for module, tree in _sources().items() for line in _trespasses(module, tree)] == []


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("siit.loading", "from siit.bundle._errors import wrong", True),
        ("siit.loading", "from siit.bundle import _json", True),
        ("siit.loading", "import siit.bundle._json", True),
        ("siit.bundles", "from siit.bundle._errors import wrong", True),
        ("siit.bundle", "from siit.bundle._errors import wrong", False),
        ("siit.bundle._index", "from siit.bundle._errors import wrong", False),
        ("siit.loading", "from siit.bundle.untrusted import wrong", False),
        ("siit.loading", "from siit._text import printable", False),
    ],
)
def test_the_check_sees_what_is_private(module: str, line: str, found: bool):
    assert bool(_trespasses(module, ast.parse(line))) == found


def test_a_name_is_one_classs():
    """One word for one thing: `Run`, `Patch` or `Score` mean the same in every room."""
    names = Counter(
        node.name
        for tree in _sources().values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert len(names) > 80 and [name for name, count in names.items() if count > 1] == []


@pytest.mark.slow
def test_the_check_sees_a_module_that_does():
    with pytest.raises(AssertionError, match=r"siit\.training\.objective imports"):
        _import(["siit.graph", "siit.training.objective"])
