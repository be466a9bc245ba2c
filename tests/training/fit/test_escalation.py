"""A run that stands still: when it does, what it widens, and that an interruption changes nothing."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl

import siit
from siit.train import train
from siit.training.configuration.settings import TrainerSettings, read_settings
from siit.training.fit import pipeline
from siit.training.fit.checks import Check, Found
from siit.training.fit.escalation import Standstill, earliest_standstill, next_widening
from siit.training.fit.module import SIITModule
from siit.training.fit.plan import Plan
from siit.training.fit.revisions import Revisions, Widening
from tests.builders.runs import Compose, plan_of, stopped_as_whole


@pytest.fixture
def plan(composed: Compose) -> Plan:
    return plan_of(read_settings(composed()))


def test_it_stands_still_where_the_error_has_not_fallen_for_half_of_the_steps_before() -> None:
    watch = Standstill()
    course = [(100, 0.9), (200, 0.5), (280, 0.46), (299, 0.48), (300, 0.47)]
    assert [watch.note(step, error, 0) for step, error in course] == [False, False, False, False, True]
    assert (watch.least, watch.since) == (0.5, 200), "a tenth less is the least that counts"
    assert not watch.note(310, 0.44, 0) and watch.note(465, 0.44, 0)


class Told(Check):
    """Finds what it is told to find: the error of the worst interchange, 0 where all hold."""

    error = 0.0

    def concerns(self, module: SIITModule) -> bool:
        return True

    def check(self, trainer: pl.Trainer, module: SIITModule) -> Found:
        return Found("", self.error, "is_x" if self.error else None)


def test_a_lapse_is_no_standstill() -> None:
    check = Told({}, Mock(), lambda interchange: True)
    trainer = Mock(loggers=[], should_stop=False)
    module = Mock(everything_from=0, settings=TrainerSettings(anneal_steps=100), stands_still=None)
    said = []
    for step, error in ((100, 0.01), (200, 0.0), (220, 0.001), (299, 0.01), (330, 0.01)):
        trainer.global_step, check.error = step, error
        check.on_train_epoch_end(trainer, module)
        said.append(module.stands_still)
    assert said == [None, None, None, None, "is_x"], "every interchange held at step 200"
    assert trainer.should_stop


def test_nothing_is_said_before_the_learning_rate_has_fallen() -> None:
    watch = Standstill()
    assert [watch.note(step, 0.5, 1000) for step in (100, 900, 1000)] == [False, False, True]


@pytest.mark.parametrize(
    ("everything_from", "can_widen", "step"),
    [(None, True, 1000), (None, False, 3000), (400, True, 1900), (400, False, 3400), (2000, True, 5000)],
)
def test_it_waits_longer_where_no_node_is_left(everything_from: int | None, can_widen: bool, step: int) -> None:
    assert earliest_standstill(TrainerSettings(anneal_steps=1000), everything_from, can_widen) == step


def test_what_is_wrong_gets_a_free_head_of_its_layer_and_then_nothing_that_is_taken(plan: Plan) -> None:
    assert plan.alignment == {"is_x": ("m0",), "frac_prevs": plan.alignment["frac_prevs"]}
    heads, wide = {f"a1.h{index}" for index in range(plan.config.n_heads)}, plan
    for count in range(2, plan.config.n_heads + 1):
        more = next_widening(wide, "is_x->frac_prevs<v>", 70, seed=0)
        assert more is not None and more.variable == "frac_prevs" and more.step == 70
        assert more.node in heads - set(wide.alignment["frac_prevs"])
        wide = Revisions((more,)).applied_to(wide)
        assert len(wide.alignment["frac_prevs"]) == count
        circuit = wide.interchanges.labels.circuit
        assert circuit.alignment["frac_prevs"] == wide.alignment["frac_prevs"]
        assert {edge.sender for edge in circuit.carries if edge.receiver == "logits"} == set(
            circuit.alignment["frac_prevs"]
        )
    more = next_widening(wide, "frac_prevs", 70, seed=0)
    assert more is not None and more.node == "m1", "no head is free"
    assert next_widening(Revisions((more,)).applied_to(wide), "frac_prevs", 70, seed=0) is None
    assert next_widening(plan, "tokens->is_x", 70, seed=0) is None, "an MLP's variable has the only MLP of its layer"


def test_more_heads_leave_the_interchanges_as_they_were(plan: Plan) -> None:
    more = next_widening(plan, "frac_prevs", 10, seed=0)
    assert more is not None
    assert Revisions((more,)).applied_to(plan).interchanges.names == plan.interchanges.names
    assert Revisions().applied_to(plan) is plan


@pytest.fixture
def stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check finds that its run stands still."""
    monkeypatch.setattr("siit.training.fit.checks.APART", 1)
    monkeypatch.setattr(Standstill, "note", lambda *arguments: True)


OVERRIDES = ("objective.circuit_first=1", "model.n_heads=2", "model.d_head=4", "trainer.max_steps=40")


@pytest.mark.usefixtures("stands_still")
def test_it_is_widened_in_place_until_nothing_is_free_and_then_ends_with_what_is_wrong(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "next_widening", only_of_frac_prevs)
    path = train(composed(*OVERRIDES))
    record = json.loads((path / "training.json").read_text())
    assert record["steps"] == 30, "it is not trained to the end"
    assert [(step["variable"], step["step"]) for step in record["widened"]] == [("frac_prevs", 10), ("frac_prevs", 20)]
    circuit = siit.load(tmp_path, "frac_prevs").circuit
    assert set(circuit.alignment["frac_prevs"]) == {"a1.h0", "a1.h1", "m1"}
    said = capsys.readouterr().out
    assert " stays wrong; frac_prevs gets a1.h" in said
    assert " stays wrong, and no node is left to give it" in said


@pytest.mark.slow
@pytest.mark.usefixtures("stands_still")
def test_an_interruption_changes_nothing(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "next_widening", only_of_frac_prevs)
    stopped_as_whole(functools.partial(composed, *OVERRIDES), tmp_path, monkeypatch, times=2)


def only_of_frac_prevs(plan: Plan, interchange: str, step: int, seed: int) -> Widening | None:
    """Widens the one variable that can be, whatever is wrong."""
    return next_widening(plan, "frac_prevs", step, seed)
