"""`siit leaderboard`: what it prints, writes and returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from siit.evaluation.files import write_results
from siit.leaderboard.__main__ import main
from tests.builders.boards import release_root, results


@pytest.mark.slow
def test_results_become_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    some = ("eap", "hisp")
    file, board = tmp_path / "results.json", tmp_path / "board"
    write_results(file, results(lambda one: one.method in some))
    command = ["add", str(file), f"bundle={release_root()}", f"board={board}"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == [f"{name}: new, 3 of 3 models" for name in some]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[0] == "eap: unchanged, 3 of 3 models"
    assert main(["page", f"bundle={release_root()}", f"board={board}"]) == 0
    assert capsys.readouterr().out.strip() == str(board / "index.html")
    assert (board / "index.html").read_text().startswith("<!DOCTYPE html>")


def test_a_month(capsys: pytest.CaptureFixture[str]):
    assert main(["month", "2026-12"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("random-composed-") and "siit train -m experiment=suite case=random case.tier=deep" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ad"], "siit.leaderboard: error: found 'ad'; did you mean add? accepted are add, page, month"),
        (["add", "x.json"], "the following arguments are required: --bundle"),
        (["add", "{tmp}/x.json", "bundle={bundle}"], "x.json"),
        (["add", "x.json", "bundle={tmp}"], "bundle: found no certified model in"),
        (["page", "bundle=nowhere"], "bundle: found 'nowhere'"),
        (["page", "bundle={bundle}", "month=2026"], "month: found '2026', accepted is a year and a month"),
        (["page", "bundle={bundle}", "board={tmp}"], "leaderboard: found no evaluation on these models"),
        (["month", "may"], "month: found 'may'"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([one.format(tmp=tmp_path, bundle=release_root()) for one in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_help(capsys: pytest.CaptureFixture[str]):
    for arguments, status in ((["--help"], 0), ([], 2), (["add", "--help"], 0)):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == status
    assert "siit leaderboard month 2026-12" in capsys.readouterr().out
