"""The optimiser's groups, and replay and checks in a run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from siit.certificate import Certificate
from siit.training.configuration.settings import Settings, read_settings
from siit.training.fit.checkpoints import RunFolder
from siit.training.fit.loggers import MetricsFile
from siit.training.fit.loop import fit, make_module
from siit.training.fit.module import SIITModule
from siit.training.fit.plan import find_task, make_plan
from siit.training.fit.validation import validation_certificate
from tests.builders.runs import Compose


def module_of(settings: Settings) -> SIITModule:
    return make_module(make_plan(find_task(settings.case), settings), settings)


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
        folder = RunFolder(tmp_path / share, settings.case.name, settings.seed)
        folder.open({}, resume=False)
        module = fit(make_plan(find_task(settings.case), settings), settings, folder).module
        added.append(int(module.replay_buffer.added))
        bos = module.replay_buffer.inputs[:, : added[-1], 0]
        assert bool((bos == 4).all()), "what is kept are inputs of frac_prevs"
    assert added[0] > 10 and added[1] == 0


def test_the_circuit_alone_is_checked_until_it_passes_and_then_the_certificate(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, checks = iter([0.25, 0.5]), []
    measure = validation_certificate

    def measured(module: SIITModule, *further: Any) -> Certificate:
        checks.append(module.global_step)
        return measure(module, *further)

    monkeypatch.setattr("siit.training.fit.callbacks.circuit_alone", lambda *arguments: next(alone))
    monkeypatch.setattr("siit.training.fit.callbacks.validation_certificate", measured)
    settings = read_settings(composed("trainer.max_steps=40", "objective.circuit_first=0.3"))
    folder = RunFolder(tmp_path, settings.case.name, settings.seed)
    folder.open({}, resume=False)
    logger = MetricsFile(folder.path)
    module = fit(make_plan(find_task(settings.case), settings), settings, folder, loggers=[logger]).module
    assert module.everything_from == 20 and checks == [20, 30, 40]
    rows = [row for row in csv.DictReader(logger.path.read_text().splitlines()) if row["val/circuit_only"]]
    assert [row["val/circuit_alone"] for row in rows] == ["0.25", "0.5", "", ""]
    assert [bool(row["val/accuracy"]) for row in rows] == [False, True, True, True]
