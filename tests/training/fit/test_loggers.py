"""Metrics: one file, one run, over all resumptions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from siit.train import train
from siit.training.fit.loggers import MetricsFile, run_loggers
from siit.training.fit.shortfall import NotCertified
from tests.builders.runs import Compose


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def test_a_resumed_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path)
    first.log_metrics({"loss": 1.5}, step=50)
    first.log_metrics({"loss": 1.25}, step=100)
    first.log_metrics({"val/circuit_alone": 0.5}, step=100)
    first.log_metrics({"loss": 1.0}, step=150)
    with first.path.open("a") as file:
        file.write("200,0.7")  # a kill
    resumed = MetricsFile(tmp_path, from_step=100)
    resumed.log_metrics({"loss": 1.0}, step=150)
    resumed.log_metrics({"val/accuracy": 0.75}, step=200)
    assert rows(tmp_path) == [
        {"step": "50", "loss": "1.5"},
        {"step": "100", "loss": "1.25", "val/circuit_alone": "0.5"},
        {"step": "150", "loss": "1.0"},
        {"step": "200", "val/accuracy": "0.75"},
    ]
    MetricsFile(tmp_path)
    assert rows(tmp_path) == [], "a run from step 0 begins anew"


@pytest.mark.slow
def test_training_logs_losses_and_checks_once_each(composed: Compose, tmp_path: Path) -> None:
    config = ("allow_uncertified=false", "trainer.check_every=25", "trainer.validation_pairs=16")
    for steps in (50, 100):
        with pytest.raises(NotCertified):
            train(composed(f"trainer.max_steps={steps}", *config))
    found = rows(tmp_path / ".runs" / "frac_prevs" / "seed-0")
    assert [row["step"] for row in found] == ["25", "50", "75", "100"]
    assert ["loss/siit" in row for row in found] == [False, True, False, True]
    assert all("val/error" in row and "val/circuit_only" in row for row in found)


class FakeWandb:
    """Stands for what `wandb.init` gives: notes what it is told."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.logged: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.finished: int | None = None
        self.config = self

    def update(self, values: dict[str, Any], **options: Any) -> None:
        self.configuration = values

    def log(self, values: dict[str, Any], *args: Any, **options: Any) -> None:
        self.logged.append(values)

    def finish(self, exit_code: int) -> None:
        self.finished = exit_code

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


@pytest.fixture
def wandb_runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    wandb = pytest.importorskip("wandb")
    runs: list[FakeWandb] = []

    def init(**options: Any) -> FakeWandb:
        assert not runs or runs[-1].finished is not None, "the run before is still open"
        runs.append(FakeWandb(options))
        return runs[-1]

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setenv("WANDB_MODE", "offline")  # Lightning sets it; restored afterwards
    return runs


@pytest.mark.slow
def test_weights_and_biases_gets_all_of_a_run(composed: Compose, wandb_runs: list[Any]) -> None:
    own = ("logger.entity=us", "logger.project=circuits", "logger.tags=[pilot]", "logger.group=null")
    config = ("logger=wandb", "allow_uncertified=false", *own)
    for steps in (10, 20):
        with pytest.raises(NotCertified):
            train(composed(f"trainer.max_steps={steps}", *config))
    first, resumed = wandb_runs
    assert first.options["name"] == "frac_prevs-seed-0" and first.options["entity"] == "us"
    assert first.options["project"] == "circuits" and first.options["tags"] == ["pilot"]
    assert first.options["group"] is None
    assert first.options["id"] == resumed.options["id"] and first.options["id"].startswith("frac_prevs-seed-0-")
    assert first.options["resume"] == "allow", "one run over both"
    assert first.configuration["model"]["d_model"] == 16 and first.configuration["case"]["name"] == "frac_prevs"
    assert first.summary["certificate/certified"] is False and 0 <= first.summary["certificate/accuracy"] < 0.999
    assert first.summary["certificate/failed"][0].startswith("accuracy")
    assert first.finished == resumed.finished == 0
    assert any("circuit" in values for values in first.logged), "the picture"
    checked = [values["trainer/global_step"] for values in resumed.logged if "val/error" in values]
    assert checked == [20]


@pytest.mark.slow
def test_each_model_has_a_run_of_its_own_and_so_has_a_new_beginning(composed: Compose, wandb_runs: list[Any]) -> None:
    config = ("logger=wandb", "allow_uncertified=false", "trainer.max_steps=10")
    for further in (["seed=0"], ["seed=1"], ["seed=0", "resume=false"]):
        with pytest.raises(NotCertified):
            train(composed(*config, *further))
    ids = [run.options["id"] for run in wandb_runs]
    assert len(set(ids)) == 3 and wandb_runs[1].options["name"] == "frac_prevs-seed-1"
    assert wandb_runs[0].options["tags"] == ["siit", "d_model 16"] and wandb_runs[0].options["group"] == "frac_prevs"


def test_a_run_that_fails_is_closed_as_failed(tmp_path: Path, wandb_runs: list[Any]) -> None:
    chosen = {"_target_": "siit.training.fit.loggers.wandb_logger", "project": "p", "offline": True}
    with pytest.raises(KeyError), run_loggers(chosen, tmp_path, 0, {}):
        raise KeyError
    assert wandb_runs[0].finished == 1


@pytest.mark.slow
def test_an_offline_run_is_written_for_later(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real library, which needs neither account nor network for that."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = ("logger=wandb", "trainer.max_steps=10")
    train(composed(*config))
    train(composed(*config, "seed=1"))
    for seed in (0, 1):
        (run,) = (tmp_path / ".runs" / "frac_prevs" / f"seed-{seed}" / "wandb").glob("offline-run-*")
        assert f"frac_prevs-seed-{seed}-" in run.name
        (written,) = run.glob("*.wandb")
        content = written.read_bytes()
        for expected in (f"frac_prevs-seed-{seed}", "certificate/accuracy", "val/circuit_alone", "gradient_clip"):
            assert expected.encode() in content
        assert list(run.glob("files/media/images/circuit*.png")), "the picture"


@pytest.mark.slow
def test_tensorboard_has_its_files(composed: Compose, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    with pytest.raises(NotCertified):
        train(composed("logger=tensorboard", "allow_uncertified=false", "trainer.max_steps=10"))
    files = list((tmp_path / ".runs" / "frac_prevs" / "seed-0" / "tensorboard").glob("events.*"))
    content = b"".join(path.read_bytes() for path in files)
    for expected in (b"val/error", b"certificate/accuracy", b"circuit"):
        assert expected in content


def test_no_logger_keeps_nothing(composed: Compose, tmp_path: Path) -> None:
    train(composed("logger=none", "trainer.max_steps=10"))
    assert not (tmp_path / ".runs" / "frac_prevs" / "seed-0" / "metrics.csv").exists()
