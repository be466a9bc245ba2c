"""Tables of suites, of reports by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts import suite_table
from siit.suite.models import SuiteModel
from siit.suite.report import suite_json

DONE = SuiteModel(
    *("reverse", 0, "composed", "reordering", "certified"),
    steps=1250,
    cpu_seconds=120.0,
    worst={"accuracy": 1.0, "strict_adversarial": 0.99951},
)
MISSED = SuiteModel(
    *("median", 0, "composed", "sorting", "not certified"),
    failed=("accuracy: 0.9 is 0.09900 below 0.999", "iia: 0.9"),
    diagnosis=("stands still",),
)


def written(folder: Path, name: str, *models: SuiteModel) -> Path:
    (folder / name).write_bytes(suite_json(models))
    return folder / name


def test_of_a_model_that_several_reports_have_the_last_one_counts(tmp_path: Path) -> None:
    first = written(tmp_path, "first.json", DONE, SuiteModel("median", 0, "composed", "sorting", "failed"))
    second = written(tmp_path, "second.json", MISSED, SuiteModel("carry", 0, "composed", "numbers", "not finished"))
    assert [(model.case, model.outcome) for model in suite_table.read_reports([first, second])] == [
        ("median", "not certified"),
        ("reverse", "certified"),
    ]


def test_tiers_count_the_catalogue_s_cases() -> None:
    """Those of the generator are no part of it."""
    drawn = SuiteModel("random-deep-3", 0, "deep", None, "certified", cpu_seconds=9000.0)
    lines = suite_table.tiers([DONE, MISSED, drawn])
    assert lines[2] == "| pointwise | 63 | 0 | 0 | 63 | 0 |  |"
    assert lines[4] == "| composed | 90 | 1 | 1 | 88 | 2 | reverse: 2 |"
    assert lines[5] == "| deep | 27 | 0 | 0 | 27 | 0 |  |"
    assert lines[-1] == "| all | 198 | 1 | 1 | 196 | 2 | reverse: 2 |"


def test_rows_say_the_worst_share_or_what_is_missing() -> None:
    assert suite_table.rows([DONE, MISSED])[2:] == [
        "| reverse | 0 | composed | certified | 1,250 | 120 | 99.95 (strict_adversarial) |",
        "| median | 0 | composed | not certified |  |  | accuracy: 0.9 is 0.09900 below 0.999 (1 more fall short); "
        "stands still |",
    ]


def test_one_report_is_made_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = written(tmp_path, "first.json", DONE), written(tmp_path, "second.json", MISSED)
    whole = tmp_path / "whole.json"
    monkeypatch.setattr(sys, "argv", ["suite_table", str(first), str(second), "--write", str(whole)])
    suite_table.main()
    assert len(suite_table.read_reports([whole])) == 2
    assert "| reverse | 0 |" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", '{"format": "siit-suite/9", "models": []}'])
def test_what_is_no_report(tmp_path: Path, content: str) -> None:
    path = tmp_path / "suite.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"suite\.json: found no report .*accepted is a suite\.json that siit wrote"):
        suite_table.read_reports([path])
