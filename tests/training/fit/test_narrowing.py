"""Members that carry nothing beside others leave the circuit, and the run trains on without them."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

import siit
from siit.bundle import read_bundle
from siit.certificate import Certificate
from siit.graph.architecture import head
from siit.train import train
from siit.training.configuration.settings import read_settings
from siit.training.fit.checks import HOPELESS
from siit.training.fit.loop import make_module, validation_evidence
from siit.training.fit.module import SIITModule
from siit.training.fit.narrowing import idle_in, next_narrowing
from siit.training.fit.plan import Plan
from siit.training.fit.revisions import Narrowing, Revisions, Widening
from siit.training.fit.validation import halves, validation_certificate
from siit.verification.idle_members import Idle
from tests.builders.runs import Compose, compose_small, plan_of, stopped_as_whole

MODEL = Path(__file__).parents[2] / "data" / "frac_prevs" / "seed-0"


@dataclasses.dataclass(frozen=True)
class Wide:
    """A certified model whose labels name a head beside the true one, which writes nothing."""

    plan: Plan
    module: SIITModule
    true: str
    spare: str

    def idle(self) -> list[Idle]:
        settings = read_settings(compose_small("trainer.validation_pairs=128"))
        return idle_in(self.module, next(halves(validation_evidence(self.plan, settings))))


@pytest.fixture
def wide(composed: Compose) -> Wide:
    bundle = read_bundle(MODEL)
    (true,), (mlp,) = (bundle.circuit.alignment[name] for name in ("frac_prevs", "is_x"))
    index = next(index for index in range(bundle.config.n_heads) if head(1, index) != true)
    sizes = ("n_layers", "n_heads", "d_model", "d_head", "d_mlp")
    shape = [f"model.{name}={getattr(bundle.config, name)}" for name in sizes]
    settings = read_settings(composed(f"case.alignment.nodes={{is_x:[{mlp}],frac_prevs:[{true}]}}", *shape))
    plan = Revisions((Widening("frac_prevs", head(1, index), 0),)).applied_to(plan_of(settings))
    module = make_module(plan, settings)
    weights = {name: tensor.clone() for name, tensor in bundle.parameters.items()}
    weights["blocks.1.attn.W_O"][index] = 0.0
    module.ema.load_state_dict(weights)
    return Wide(plan, module, true, head(1, index))


def test_an_idle_head_leaves_and_the_true_one_stays(wide: Wide) -> None:
    idle = wide.idle()
    said = {member.finding.split(":")[0] for member in idle}
    assert said >= {f"node {wide.spare}", f"edge {wide.spare}->logits"}
    assert not [text for text in said if wide.true in text]
    narrowing = next_narrowing(wide.plan, wide.module, idle, step=70)
    assert narrowing is not None and narrowing.step == 70 and f"{wide.spare}->logits" in narrowing.edges
    narrow = Revisions(narrowed=(narrowing,)).applied_to(wide.plan)
    assert narrow.interchanges.labels.circuit.alignment["frac_prevs"] == (wide.true,)
    wide.module.objective.interchanges = narrow.interchanges
    assert not dataclasses.replace(wide, plan=narrow).idle()


def test_what_only_one_carries_stays_however_idle_it_is_said_to_be(wide: Wide) -> None:
    plan, module = wide.plan, wide.module
    said = [Idle((edge,), 0.0, "") for edge in plan.interchanges.labels.circuit.carries]
    narrowing = next_narrowing(plan, module, said, step=0)
    assert narrowing is not None
    circuit = Revisions(narrowed=(narrowing,)).applied_to(plan).interchanges.labels.circuit
    assert circuit.edges_by_carried.keys() == plan.interchanges.labels.circuit.edges_by_carried.keys()
    assert next_narrowing(plan, module, [], step=0) is None


def test_it_is_read_from_json_as_it_was_written() -> None:
    revisions = Revisions((Widening("a", "a0.h1", 20),), (Narrowing(("a0.h1->logits",), 30),))
    assert Revisions.from_json(json.loads(json.dumps(revisions.to_json()))) == revisions
    assert len(revisions) == 2


OVERRIDES = ("case.alignment.heads={frac_prevs:2}", "objective.circuit_first=null", "trainer.max_steps=40")


@pytest.fixture
def first_check_narrows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check holds, but for a head of two that the first finds idle; nothing is measured to let it leave."""

    def holds(*arguments: Any) -> Certificate:
        return dataclasses.replace(validation_certificate(*arguments), certified=True)

    def idle(module: SIITModule, evidence: object) -> list[Idle]:
        circuit = module.objective.interchanges.labels.circuit
        *_, last = circuit.alignment["frac_prevs"]
        out = tuple(edge for edge in circuit.carries if edge.sender == last)
        return [Idle(out, 0.0, f"node {last}: idle")] if len(circuit.alignment["frac_prevs"]) > 1 else []

    monkeypatch.setitem(HOPELESS, "numerical", 1.0)
    monkeypatch.setattr("siit.training.fit.checks.APART", 1)
    monkeypatch.setattr("siit.training.fit.checks.validation_certificate", holds)
    monkeypatch.setattr("siit.training.fit.checks.idle_in", idle)
    monkeypatch.setattr("siit.training.fit.narrowing._right_without", lambda *arguments: 1.0)


@pytest.mark.usefixtures("first_check_narrows")
def test_a_run_goes_on_with_narrower_labels(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = train(composed(*OVERRIDES))
    record = json.loads((path / "training.json").read_text())
    ((narrowing,), circuit) = record["narrowed"], siit.load(tmp_path, "frac_prevs").circuit
    assert narrowing["step"] == 10 and record["steps"] == 20 and record["widened"] == []
    (left,) = circuit.alignment["frac_prevs"]
    (edge,) = narrowing["edges"]
    assert edge.endswith("->logits") and not edge.startswith(left)
    said = capsys.readouterr().out
    assert "every bar holds, and node a1.h" in said and f"leave the circuit: {edge}" in said


@pytest.mark.slow
@pytest.mark.usefixtures("first_check_narrows")
def test_idle_members_are_sought_once_the_circuit_holds_whatever_else_fails(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*arguments: Any) -> Certificate:
        circuit: dict[str, Any] = dict.fromkeys(CIRCUIT, 1.0)
        found = validation_certificate(*arguments)
        return dataclasses.replace(found, certified=False, **circuit, strict_adversarial=0.5)

    monkeypatch.setattr("siit.training.fit.checks.validation_certificate", fails)
    path = train(composed(*OVERRIDES))
    record = json.loads((path / "training.json").read_text())
    assert [narrowing["step"] for narrowing in record["narrowed"]] == [10] and record["steps"] == 40
    assert "everything: the circuit holds, and node a1.h" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("first_check_narrows")
def test_idle_members_are_sought_again_and_again(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> Certificate:
        circuit: dict[str, Any] = dict.fromkeys(CIRCUIT, 1.0)
        return dataclasses.replace(validation_certificate(*arguments), certified=False, **circuit)

    sought: list[int] = []

    def none(module: SIITModule, evidence: object) -> list[Idle]:
        sought.append(module.global_step)
        return []

    monkeypatch.setattr("siit.training.fit.checks.validation_certificate", fails)
    monkeypatch.setattr("siit.training.fit.checks.idle_in", none)
    train(composed(*OVERRIDES))
    assert sought == [10, 20, 30], "each at least 1.5 times as late as the last"


CIRCUIT = ("accuracy", "iia", "edge_iia", "strict_joint", "joint_mean", "joint_zero")


@pytest.mark.slow
@pytest.mark.usefixtures("first_check_narrows")
def test_an_interruption_changes_nothing(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped_as_whole(functools.partial(composed, *OVERRIDES), tmp_path, monkeypatch, times=1)
