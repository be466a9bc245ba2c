"""`siit suite`: what it takes, and one line for each thing that can go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from siit.suite.__main__ import main, parse
from siit.training.configuration.settings import Settings
from siit.training.suite.start import suite_arguments
from tests.builders import handmade


def test_what_is_ours_and_what_is_training_s(tmp_path: Path):
    (tmp_path / "list").write_text("square\nreverse\n")
    ours = [f"list={tmp_path / 'list'}", "seed=1,0,1", "out=a b", "--tier", "composed,pointwise", "pages=true"]
    training = ["trainer.threads=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "++case.alignment.heads.x=2"]
    found = parse([*ours, *training])
    assert (found.cases, found.seeds, found.out, found.pages) == (["reverse", "square"], [1, 0], Path("a b"), True)
    assert suite_arguments(found.cases, found.seeds, found.out, found.overrides) == [
        *("-m", "experiment=suite", "case=reverse,square", "seed=1,0", "out='a b'"),
        *training,
    ]


def test_no_key_of_training_is_taken_for_a_typing_error():
    keys = [name for name in vars(Settings()) if name not in ("case", "seed", "out")]
    assert parse([f"{key}=1" for key in keys]).overrides == [f"{key}=1" for key in keys]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["case=revers"], "case: found 'revers'; did you mean reverse"),
        (["case=reverse,nothing"], "case: found 'nothing'; "),
        (["tier=dep"], "--tier: found 'dep'; did you mean deep?"),
        (["family=x"], "--family: found 'x'; accepted are arithmetic"),
        (["seed=a"], "--seed: found 'a', accepted is an integer from 0 to 2147483647"),
        (["seed=0,"], "--seed: found '', accepted is an integer from 0 to 2147483647"),
        (["cases=reverse"], "cases=reverse: no such option; did you mean case?"),
        (["--nothing"], "--nothing: no such option"),
        (["case=reverse", "case=square"], "--case: found twice"),
        (["case=reverse", "list=x"], "case, list: found both"),
        (["list=nowhere"], "list: found nowhere (No such file or directory)"),
        (["out=${seed}"], "--out: found '${seed}', accepted is the path of one folder"),
        (["report_only=true", "case=ioi", "trainer.threads=2"], "report_only: found case, trainer.threads=2 with it"),
        (["report_only=true", "out=nowhere"], "out: found no models in nowhere"),
        (["out=file"], "out: found file, a file, accepted is a folder"),
        (["trainer.batch_size=8,16"], "trainer.batch_size=8,16: found several values, accepted is one"),
        (["experiment=none"], "experiment=none: found in the command"),
        (["hydra.sweep.dir=x"], "hydra.sweep.dir=x: found in the command"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"siit.suite: error: {message}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_report_alone_has_the_status_of_the_worst_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    handmade.put(tmp_path)
    arguments = ["report_only=true", f"out={tmp_path}"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        str(tmp_path / name) for name in ("suite.json", "gallery.html")
    ]
    (tmp_path / "previous_is_x/seed-0/vocab.json").unlink()
    assert main(arguments) == 2
    assert "previous_is_x, seed 0: damaged: vocab.json: file: found 'nothing'" in capsys.readouterr().out
