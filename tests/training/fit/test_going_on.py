"""A run goes on: with more steps, after a test that failed, and where it was stopped before its bundle."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

import siit
from siit.certificate import Certificate
from siit.interchange import build_evidence
from siit.train import train
from siit.training.configuration.settings import ConfigError, read_settings
from siit.training.fit.checkpoints import RunFolder, checkpoint_step
from siit.training.fit.checks import HOPELESS
from siit.training.fit.loop import fit
from siit.training.fit.shortfall import NotCertified, with_steps
from siit.training.fit.validation import validation_certificate
from tests.builders.runs import Compose, plan_of

STRICT = "allow_uncertified=false"


@pytest.fixture
def checks_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check passes, whatever the model."""

    def passing(*arguments: Any) -> Any:
        return dataclasses.replace(validation_certificate(*arguments), certified=True)

    monkeypatch.setitem(HOPELESS, "numerical", 1.0)
    monkeypatch.setattr("siit.training.fit.checks.APART", 2)
    monkeypatch.setattr("siit.training.fit.checks.validation_certificate", passing)


def state(root: Path) -> dict[str, torch.Tensor]:
    return dict(siit.load(root, "frac_prevs").model.state_dict())


@pytest.mark.slow
def test_with_more_steps_it_ends_as_if_it_had_had_them_from_the_beginning(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(NotCertified) as caught:
        train(composed("trainer.max_steps=10", STRICT))
    message = str(caught.value)
    assert "not certified after 10 steps" in message and "accuracy: 0." in message and "below 0.999" in message
    assert f"the checkpoint is kept: {tmp_path}/.runs/frac_prevs/seed-0/last.ckpt" in message
    assert message.endswith(f"\n  python -m siit.train case=frac_prevs seed=0 out={tmp_path} trainer.max_steps=20"), (
        "the exact command"
    )
    # Neither steps nor threads nor logger are another configuration.
    train(composed("trainer.max_steps=20", "trainer.threads=2", "logger=none", "trainer.progress_bar=true"))
    train(composed("trainer.max_steps=20", f"out={tmp_path / 'whole'}"))
    resumed, whole = state(tmp_path), state(tmp_path / "whole")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.ci
def test_runs_that_were_moved_go_on_without_a_warning(
    composed: Compose, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """Lightning says that it forgets which checkpoint was the best; none ever is."""
    with pytest.raises(NotCertified):
        train(composed("trainer.max_steps=10", STRICT))
    moved = tmp_path / "moved"
    shutil.move(tmp_path / ".runs", moved / ".runs")
    train(composed("trainer.max_steps=20", f"out={moved}"))
    assert json.loads((moved / "frac_prevs" / "seed-0" / "training.json").read_text())["steps"] == 20
    assert not [str(warning.message) for warning in recwarn if "dirpath" in str(warning.message)]


@pytest.mark.slow
def test_with_fewer_steps_than_are_done_it_says_so(composed: Compose) -> None:
    with pytest.raises(NotCertified):
        train(composed("trainer.max_steps=20", STRICT))
    with pytest.raises(ConfigError, match=r"trainer\.max_steps: found 10, accepted is 20 or more"):
        train(composed("trainer.max_steps=10", STRICT))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("checks_pass")
def test_after_a_failed_test_it_trains_on_and_each_test_has_pairs_of_its_own(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, bases = RunFolder(tmp_path, "frac_prevs", 0), []

    def noted(*arguments: Any, **further: Any) -> dict[str, torch.Tensor]:
        evidence = build_evidence(*arguments, **further)
        bases.append(evidence["base_tokens"])
        return evidence

    monkeypatch.setattr("siit.training.fit.pipeline.build_evidence", noted)
    config = composed(STRICT, "objective.circuit_first=null", "trainer.max_steps=30")
    with pytest.raises(NotCertified, match="All steps are used up") as caught:
        train(config)
    # Checks came after 10 and 20 steps, and each test that followed failed.
    assert caught.value.steps == 30 == checkpoint_step(folder.checkpoint)
    assert folder.failed_tests == [10, 20, 30]
    said = "".join(capsys.readouterr())
    assert said.count("the test failed: accuracy: ") == 2, "after the third none follows"
    assert said.count("not measured") == 2 * 4, "of the first two no more than shows that they fail"
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(bases, 2))
    # Where it may be bundled uncertified, it is: nothing is left to train.
    config.allow_uncertified = True
    record = json.loads((train(config) / "training.json").read_text())
    assert record["steps"] == 30 and record["tests"] == 3, "how often test pairs were met is not hidden"
    assert folder.failed_tests == [], "the next run begins anew"


@pytest.mark.usefixtures("checks_pass")
def test_a_test_that_fails_after_the_last_step_is_the_last(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siit.training.fit.checks.APART", 1)
    with pytest.raises(NotCertified, match="All steps are used up") as caught:
        train(composed(STRICT, "objective.circuit_first=null", "trainer.max_steps=20"))
    assert caught.value.steps == 20 and RunFolder(tmp_path, "frac_prevs", 0).failed_tests == [10, 20]


@pytest.mark.usefixtures("checks_pass")
def test_a_run_that_was_killed_between_its_last_check_and_its_bundle_trains_no_further(
    composed: Compose, tmp_path: Path
) -> None:
    settings = read_settings(composed("objective.circuit_first=null"))
    plan, folder = plan_of(settings), RunFolder(tmp_path, "frac_prevs", 0)
    folder.open({}, resume=True)
    ended = fit(plan, settings, folder)
    assert ended.passed and ended.steps == 10

    class Never(pl.Callback):
        def on_train_batch_start(self, *args: Any) -> None:
            pytest.fail("it trains on")

    again = fit(plan, settings, folder, folder.open({}, resume=True), callbacks=[Never()])
    assert again.passed and again.steps == 10
    averaged, before = again.module.ema.state_dict(), ended.module.ema.state_dict()
    assert all(torch.equal(before[name], averaged[name]) for name in before)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python -m siit.train case=x", "python -m siit.train case=x trainer.max_steps=7"),
        ("a trainer.max_steps=3 seed=1", "a seed=1 trainer.max_steps=7"),
        ("a 'case.vocab=[a, b]' ++trainer.max_steps=3", "a 'case.vocab=[a, b]' trainer.max_steps=7"),
    ],
)
def test_a_command_with_other_steps(command: str, expected: str) -> None:
    assert with_steps(command, 7) == expected


def test_the_certificate_is_what_the_error_reports(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Certificate] = []

    def table(certificate: Certificate, title: str) -> str:
        seen.append(certificate)
        return title

    monkeypatch.setattr("siit.training.fit.pipeline.table", table)
    with pytest.raises(NotCertified) as caught:
        train(composed("trainer.max_steps=10", STRICT))
    assert caught.value.failed == seen[0].failed
    assert all(f"  {line}" in str(caught.value).splitlines() for line in seen[0].failed)
