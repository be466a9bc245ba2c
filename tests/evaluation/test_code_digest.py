"""The digest of the code that evaluates changes with that code, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import siit
from siit.evaluation.code_digest import NOT_RUN, code_sha256


def test_what_is_not_run_are_packages():
    assert all((Path(siit.__file__).parent / name / "__init__.py").exists() for name in NOT_RUN)


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
