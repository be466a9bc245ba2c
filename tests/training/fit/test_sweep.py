"""Sweeps end with a table and a status, also where jobs run in other processes."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console

from siit.suite.outcomes import (
    ALLOWED,
    CERTIFIED,
    ELSEWHERE,
    FAILED,
    NOT_CERTIFIED,
    RUNNING,
    Outcome,
    exit_status,
    outcomes,
)
from siit.training.configuration.groups import register_groups
from siit.training.configuration.location import conf_dir
from siit.training.fit.common_refusal import common_refusal
from siit.training.fit.lock import run_lock
from siit.training.fit.shared_folders import shared_folders
from siit.training.fit.sweep import sweep_table
from tests.builders.runs import SMALL

JOBS = [
    Outcome(0, "reverse", 0, ("trainer.batch_size=8", "out=x"), CERTIFIED, "", 1500, 95.0),
    Outcome(1, "reverse", 1, ("trainer.batch_size=8", "out=x"), NOT_CERTIFIED, "accuracy: 0.5 is below", 2000, 7200.0),
    Outcome(2, "revers", 0, ("trainer.batch_size=16", "out=x"), FAILED, "case: found [revers]"),
    Outcome(10, "reverse", 2, ("trainer.batch_size=16", "out=x")),
]


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([CERTIFIED, CERTIFIED], 0),
        ([CERTIFIED, ALLOWED], 0),
        ([CERTIFIED, NOT_CERTIFIED], 1),
        ([NOT_CERTIFIED, FAILED, CERTIFIED], 2),
        ([CERTIFIED, RUNNING], 2),
        ([], 2),
    ],
)
def test_the_worst_outcome_is_the_status(verdicts: list[str], status: int) -> None:
    assert exit_status([Outcome(job, "a", 0, (), verdict) for job, verdict in enumerate(verdicts)]) == status


def test_the_table_tells_jobs_apart() -> None:
    text = io.StringIO()
    Console(file=text, width=160).print(sweep_table(JOBS))
    lines = [re.sub(r"[│┃]", "|", line) for line in text.getvalue().splitlines()]
    assert lines[0].strip() == "4 jobs: 1 certified, 1 not certified, 1 failed, 1 running"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert cells == [
        ["case", "seed", "with", "verdict", "steps", "time"],
        ["reverse", "0", "trainer.batch_size=8", "certified", "1,500", "2 min"],
        ["reverse", "1", "trainer.batch_size=8", "not certified: accuracy: 0.5 is below", "2,000", "2.0 h"],
        ["revers", "0", "trainer.batch_size=16", "failed: case: found [revers]", "", ""],
        ["reverse", "2", "trainer.batch_size=16", "killed, or still running", "", ""],
    ]


def test_outcomes_travel_through_files(tmp_path: Path) -> None:
    for outcome in reversed(JOBS):
        Outcome(outcome.job, outcome.case, outcome.seed, outcome.overrides).write(tmp_path / "sweep")
        outcome.write(tmp_path / "sweep")
    (tmp_path / "sweep" / ".3.4711").write_text('{"job"')  # a job that was killed while it wrote
    assert outcomes(tmp_path / "sweep") == JOBS


def sweep(tmp_path: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    small = [text for text in SMALL if not text.startswith("case=")]
    # A model of 10 steps is certified only where nobody asks.
    command = [sys.executable, "-m", "siit.train", "-m", *small, "trainer.max_steps=10", "trainer.batch_size=8"]
    return subprocess.run(
        [*command, f"out={tmp_path / 'out'}", *overrides],
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_on_slurm_a_job_that_hits_its_time_limit_is_queued_again() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    register_groups()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        overrides = ["hydra/launcher=slurm", "hydra.launcher.partition=cpu"]
        launcher = compose("config", overrides, return_hydra_config=True).hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher") and launcher.partition == "cpu"
    assert launcher.max_num_timeout == 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        [],
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        ["hydra/launcher=submitit_local"],
    ],
    ids=["basic", "joblib", "submitit"],
)
def test_a_job_that_fails_stops_no_other(tmp_path: Path, launcher: list[str]) -> None:
    """The second has more heads than it can have, the others end with a model that is not certified."""
    if launcher:
        pytest.importorskip(f"hydra_plugins.hydra_{'joblib' if 'joblib' in launcher[0] else 'submitit'}_launcher")
    place = f"out={tmp_path / 'out'}/${{model.d_model}}"
    done = sweep(tmp_path, "case=square", "allow_uncertified=false", "model.d_model=16,17,18", place, *launcher)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "3 jobs: " in done.stdout and "1 not certified" in done.stdout and "2 failed" in done.stdout
    assert "model.d_model: found 17, accepted is a multiple" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"], "nothing is left in the working folder"


@pytest.mark.slow
def test_the_outcomes_of_one_sweep_are_together_wherever_models_go(tmp_path: Path) -> None:
    places = f"out={tmp_path / 'one'},{tmp_path / 'two'}"
    done = sweep(tmp_path, "case=square", "hydra.sweep.dir=here", places)
    assert done.returncode == 0, done.stderr
    assert "2 jobs: 2 not certified, as allowed" in done.stdout
    assert sorted(path.name for path in (tmp_path / "here").glob("*.json")) == ["0.json", "1.json"]


@pytest.mark.parametrize(
    ("jobs", "differ", "suggested"),
    [
        (["trainer.learning_rate=0.01,0.003"], "trainer.learning_rate", "learning_rate-${trainer.learning_rate}"),
        (["model=gpt2_style,interpbench"], "model", "model-${hydra:runtime.choices.model}"),
        (["case.name=x", "case=square,reverse"], "case", "case-${hydra:runtime.choices.case}"),
        (["seed=0,1,0"], None, None),
        (
            ["case=square", "trainer.batch_size=8,16", "model.d_model=8,16", "seed=0,1"],
            "trainer.batch_size, model.d_model",
            "batch_size-${trainer.batch_size}/d_model-${model.d_model}",
        ),
    ],
)
def test_jobs_that_would_share_a_folder_are_found(jobs: list[str], differ: str | None, suggested: str | None) -> None:
    with sweep_config(*jobs) as config:
        refusal = shared_folders(config)
    assert refusal is not None and "jobs of this sweep would train one model" in refusal
    assert "they are all the same" in refusal if differ is None else f"they differ in {differ}." in refusal
    if suggested:
        assert refusal.endswith(f"out='checkpoints/{suggested}'")
        with sweep_config(*jobs, f"out='checkpoints/{suggested}'") as config:
            assert shared_folders(config) is None, "what is suggested works"


@pytest.mark.parametrize("jobs", [["case=square,reverse", "seed=0,1"], ["out=a,b"], ["experiment=cross_section"]])
def test_jobs_with_folders_of_their_own_are_let_be(jobs: list[str]) -> None:
    with sweep_config(*jobs) as config:
        assert shared_folders(config) is None


@pytest.mark.parametrize(
    ("jobs", "refusal"),
    [
        (["case=square,reverse", "trainer.batch_size=0"], "trainer.batch_size: found 0"),
        (["case=square", "trainer.batch_size=0"], "trainer.batch_size: found 0"),
        (["case=square", "trainer.batch_size=0,8"], None),
        (["case=square,reverse", "out=${hydra:runtime.choices.case}"], None),
        (["case=square,nope", "trainer.batch_size=0"], None),
    ],
)
def test_what_no_job_can_have_is_found_before_the_first(jobs: list[str], refusal: str | None) -> None:
    with sweep_config(*jobs) as config:
        before = HydraConfig.instance().cfg
        found = common_refusal(config)
        assert HydraConfig.instance().cfg is before
    assert found is None if refusal is None else found is not None and found.startswith(refusal)


@contextmanager
def sweep_config(*overrides: str) -> Iterator[DictConfig]:
    """The configuration that Hydra hands to its callbacks when a sweep starts."""
    register_groups()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader.load_configuration("config", list(overrides), RunMode.MULTIRUN)


@pytest.mark.slow
def test_a_model_that_another_process_trains_has_not_failed(tmp_path: Path) -> None:
    with run_lock(tmp_path / "out/.runs/square/seed-0"):
        done = sweep(tmp_path, "case=square")
    assert done.returncode == 2, done.stderr
    assert ELSEWHERE in done.stdout and str(os.getpid()) in done.stdout and FAILED not in done.stdout


@pytest.mark.slow
@pytest.mark.ci
def test_a_sweep_into_one_folder_ends_before_it_starts(tmp_path: Path) -> None:
    done = sweep(tmp_path, "case=square", "trainer.learning_rate=0.01,0.003")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("siit.train: 2 jobs of this sweep would train one model, ")
    assert done.stderr.count("\n") == 1 and not [path for path in tmp_path.rglob("*") if path.is_file()]
