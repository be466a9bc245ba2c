"""The digest of the code that evaluates changes with that code, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import siit
from siit.evaluation.code_digest import NOT_RUN, code_sha256


def test_what_is_not_run_are_packages():
    assert all((Path(siit.__file__).parent / name / "__init__.py").exists() for name in NOT_RUN)


def test_what_is_not_run_is_not_imported():
    """But the way to the Hub: nothing that is loaded from there depends on how it came."""
    code = (
        "import sys, siit.evaluation.bench, siit.evaluation.variables.bench, siit.evaluation.__main__\n"
        "print(*sorted({name.split('.')[1] for name in sys.modules if name.startswith('siit.')}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "verification" in imported
    assert imported & set(NOT_RUN) <= {"hub"}


@pytest.mark.parametrize(("changed", "stale"), [("loading.py", True), ("scoring/score.py", True), ("hub/a.py", False)])
def test_only_code_that_evaluates_makes_results_stale(
    changed: str, stale: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("__init__.py", "loading.py", "scoring/score.py", "hub/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one = 1\n")
    monkeypatch.setattr(siit, "__file__", str(tmp_path / "__init__.py"))
    before = code_sha256.__wrapped__()
    (tmp_path / changed).write_text("one = 2\n")
    assert (code_sha256.__wrapped__() != before) is stale
