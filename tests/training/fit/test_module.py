"""The optimiser's groups, and replay and checks in a run."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import re
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from siit.certificate import Certificate
from siit.certificate.fields import SHARES
from siit.training.configuration.settings import Settings, read_settings
from siit.training.fit.checkpoints import RunFolder
from siit.training.fit.checks import HOPELESS, WORDS
from siit.training.fit.data_module import PairDataModule
from siit.training.fit.display import Display
from siit.training.fit.loggers import MetricsFile
from siit.training.fit.loop import fit, make_module, validation_evidence
from siit.training.fit.module import SIITModule
from siit.training.fit.validation import PARTS_PAIRS, halves, validation_certificate
from siit.training.objective import Answered, answer_losses
from tests.builders.discovery import DATA
from tests.builders.runs import Compose, fitted, plan_of

HELD = Certificate.from_json(json.loads((DATA / "frac_prevs/seed-0/certificate.json").read_text()))
"""A certificate of which every bar holds."""


def module_of(settings: Settings) -> SIITModule:
    return make_module(plan_of(settings), settings)


def test_what_decays(composed: Compose) -> None:
    module = module_of(read_settings(composed("model=gpt2_style", "trainer.weight_decay=0.25")))
    decays, others = module.configure_optimizers()["optimizer"].param_groups
    assert decays["weight_decay"] == 0.25 and others["weight_decay"] == 0
    names = {parameter: name.rpartition(".")[2] for name, parameter in module.model.named_parameters()}
    assert {names[parameter] for parameter in decays["params"]} == {"W_Q", "W_K", "W_V", "W_O", "W_in", "W_out", "W_U"}
    kept = {names.get(parameter, "probe") for parameter in others["params"]}
    assert kept == {"W_E", "W_pos", "b_Q", "b_K", "b_V", "b_O", "b_in", "b_out", "b_U", "w", "b", "probe"}
    trained = {*module.model.parameters(), *module.auxiliary_probes.parameters()}
    assert {*decays["params"], *others["params"]} == trained


def test_wrong_pairs_are_kept_where_they_are_replayed(composed: Compose, tmp_path: Path) -> None:
    added = []
    for share in ("0.5", "0"):
        settings = read_settings(composed(f"objective.replay={share}", "trainer.max_steps=10"))
        module = fitted(settings, tmp_path / share)
        added.append(int(module.replay_buffer.added))
        bos = module.replay_buffer.inputs[:, : added[-1], 0]
        assert bool((bos == 4).all()), "what is kept are inputs of frac_prevs"
    assert added[0] > 10 and added[1] == 0


def test_the_hardest_candidates_are_learned_from(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is learned from half is drawn as the data is; the others had the largest losses of all candidates."""
    overrides = ("case=sort_ints", "objective.replay=0", "objective.adversarial=0", "objective.candidates=200")
    settings = read_settings(composed(*overrides))
    module, batch = module_of(settings), settings.trainer.batch_size
    answer, seen = module.objective.answer, []

    def answered(model: Any, pairs: Any, drawn: Any, attention: Any = ()) -> Any:
        seen.append((pairs, drawn))
        return answer(model, pairs, drawn, attention)

    monkeypatch.setattr(module.objective, "answer", answered)
    data = PairDataModule(plan_of(settings).task, batch, 50, settings.seed)
    module.training_step(data.draw(0, torch.device("cpu")), 0)
    assert len(seen) == 1, "none are asked while the circuit alone learns"
    module.everything_from = 0
    module.training_step(data.draw(1, torch.device("cpu")), 1)
    _, (candidates, drawn), (pairs, learned) = seen
    assert len(candidates) == 200 and len(pairs) == batch and pairs.fresh is not None
    assert not drawn.all_off and not learned.all_off
    with torch.no_grad():
        again = answer(module.model, candidates, drawn)
        loss = task_loss_of_each(again, module)
        hard = ~pairs.fresh
        assert batch // 4 < int(hard.sum()) < batch * 3 // 4
        learned_loss = task_loss_of_each(answer(module.model, pairs, learned), module)[hard]
    assert torch.allclose(learned_loss, loss.sort(descending=True).values[: int(hard.sum())], rtol=1e-3)


def task_loss_of_each(found: Answered, module: SIITModule) -> Tensor:
    """The largest loss of each pair's positions."""
    return answer_losses(found.logits, found.target, found.scored, module.objective.tolerance).amax(1)


def test_attacked_examples_are_not_kept(composed: Compose) -> None:
    """An untrained model answers nearly all of them wrong."""
    settings = read_settings(composed("case=frac_prevs", "objective.replay=0.5", "objective.adversarial=0.25"))
    module, batch = module_of(settings), settings.trainer.batch_size
    module.everything_from = 0
    assert module.adversary is not None and module.adversary.size == batch // 4
    data, added = PairDataModule(plan_of(settings).task, batch, 50, settings.seed), [0]
    for step in range(3):
        module.training_step(data.draw(step, torch.device("cpu")), step).backward()
        module.on_after_backward()
        added.append(int(module.replay_buffer.added))
    first, *others = (after - before for before, after in itertools.pairwise(added))
    assert first > batch * 3 // 4 and all(0 < kept <= batch * 3 // 4 for kept in others)


def test_the_circuit_alone_is_checked_until_it_passes_and_then_the_certificate(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, checks = iter([0.25, 0.5]), []
    measure = validation_certificate

    def measured(module: SIITModule, *further: Any) -> Certificate:
        checks.append(module.global_step)
        return measure(module, *further)

    monkeypatch.setitem(HOPELESS, "numerical", 1.0)
    monkeypatch.setattr("siit.training.fit.checks.circuit_alone", lambda *arguments: (next(alone), "is_x"))
    monkeypatch.setattr("siit.training.fit.checks.validation_certificate", measured)
    settings = read_settings(composed("trainer.max_steps=40", "objective.circuit_first=0.3"))
    folder = RunFolder(tmp_path, settings.case.name, settings.seed)
    folder.open({}, resume=False)
    logger = MetricsFile(folder.path)
    module = fit(plan_of(settings), settings, folder, loggers=[logger]).module
    assert module.everything_from == 20 and checks == [30, 40]
    rows = [row for row in csv.DictReader(logger.path.read_text().splitlines()) if row["val/circuit_only"]]
    assert [row["val/circuit_alone"] for row in rows] == ["0.25", "0.5", "", ""]
    assert [bool(row["val/accuracy"]) for row in rows] == [False, False, True, True]


def test_checks_are_further_and_further_apart_and_hopeless_ones_measure_nothing(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("siit.training.fit.checks.APART", 2)
    monkeypatch.setitem(HOPELESS, "numerical", 0)
    monkeypatch.setattr("siit.training.fit.checks.circuit_alone", lambda *arguments: pytest.fail("measured"))
    settings = read_settings(composed("trainer.max_steps=60", "objective.circuit_first=0.3"))
    folder = RunFolder(tmp_path, settings.case.name, settings.seed)
    folder.open({}, resume=False)
    fit(plan_of(settings), settings, folder, display=Display())
    lines = re.findall(r"step (\d+): circuit only: about 0\.\d\d of 0\.3 in training \(", capsys.readouterr().out)
    assert lines == ["10", "20", "40"]


class Copies(TorchFunctionMode):
    """Notes the functions that copy from the processor to the device, which waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        moves = func is torch.Tensor.to and any(isinstance(value, torch.device) for value in args[1:])
        if moves or func in (torch.tensor, torch.as_tensor, torch.from_numpy):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


class Waits(TorchDispatchMode):
    """Notes the functions of a step that fetch a number from the device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            names = [frame.name for frame in traceback.extract_stack() if "/siit/" in frame.filename]
            if {"training_step", "on_after_backward", "on_train_batch_end"} & set(names):
                self.found.append(names[-1])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("log_every", "times", "circuit_first"),
    [
        (10, 2, "1"),
        (50, 0, "null"),
        *(pytest.param(*rest, marks=pytest.mark.slow) for rest in ((50, 0, "1"), (10, 2, "null"))),
    ],
)
def test_a_step_waits_for_the_device_only_where_losses_are_logged(
    composed: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_every: int,
    times: int,
    circuit_first: str,
) -> None:
    monkeypatch.setattr("siit.training.fit.callbacks.LOG_EVERY", log_every)
    phase = f"objective.circuit_first={circuit_first}"
    settings = read_settings(composed("trainer.max_steps=20", "trainer.check_every=20", phase))
    folder = RunFolder(tmp_path, settings.case.name, settings.seed)
    folder.open({}, resume=False)
    plan, waits = plan_of(settings), Waits()
    with waits:
        fit(plan, settings, folder, loggers=[MetricsFile(folder.path)])
    assert len(waits.found) == times * 5, "the loss, that of the term, of the probes, the attention and the leakage"


@pytest.mark.parametrize("case", ["frac_prevs", "ioi"])
def test_only_the_first_step_copies_to_the_device(composed: Compose, case: str) -> None:
    settings = read_settings(composed(f"case={case}"))
    module, device = module_of(settings), torch.device("cpu")
    module.everything_from = 0
    data = PairDataModule(plan_of(settings).task, settings.trainer.batch_size, 50, settings.seed)

    def step(number: int) -> None:
        module.training_step(data.draw(number, device), number).backward()
        module.on_after_backward()

    step(0)
    with Copies() as copies:
        step(1)
    assert not copies.found


def test_each_check_measures_off_circuit_parts_on_the_next_pairs_by_its_own_bars(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(composed(f"trainer.validation_pairs={2 * PARTS_PAIRS}"))
    module = make_module(plan_of(settings), settings)
    evidence, seen = next(halves(validation_evidence(plan_of(settings), settings))), []

    def measured(*arguments: Any, **how: Any) -> Certificate:
        seen.append(arguments[3])
        bars = how["bars"]
        assert bars["accuracy"] == bars["strict_joint"] == 0.9994 and bars["strict_subsets"] == 0.999
        assert bars["iia"] == bars["edge_iia"] == bars["strict_adversarial"] == pytest.approx(0.9992)
        return dataclasses.replace(HELD, certified=False)

    monkeypatch.setattr("siit.training.fit.validation.measure", measured)
    for check in range(3):
        validation_certificate(module, evidence, check)
    for name, tensor in evidence.items():
        first, second, third = (each[name][:PARTS_PAIRS] for each in seen)
        assert torch.equal(torch.cat([first, second]), tensor) and torch.equal(third, first)


def test_a_lower_precision_trains_the_same_weights_in_32_bits(composed: Compose, tmp_path: Path) -> None:
    exact, mixed = (
        fitted(read_settings(composed("trainer.max_steps=10", f"trainer.precision={precision}")), tmp_path / precision)
        for precision in ("32-true", "bf16-mixed")
    )
    weights = [torch.cat([each.detach().flatten() for each in run.model.parameters()]) for run in (exact, mixed)]
    assert weights[1].dtype == torch.float32
    assert 0 < float((weights[1] - weights[0]).norm()) < 0.05 * float(weights[0].norm())


def test_every_field_that_may_fail_has_words() -> None:
    assert set(WORDS) == set(SHARES)
