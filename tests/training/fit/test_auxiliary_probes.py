"""Auxiliary probes in training: in every step, never part of the model, and kept in checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from siit.training.configuration.settings import read_settings
from siit.training.fit.checkpoints import RunFolder
from siit.training.fit.checks import HOPELESS
from siit.training.fit.loop import fit, make_module
from siit.training.fit.module import SIITModule
from siit.training.fit.validation import circuit_alone
from siit.training.objective import Objective
from siit.training.objective.auxiliary_probes import AuxiliaryProbes
from tests.builders.runs import Compose, fitted, plan_of


def weights(module: SIITModule) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.auxiliary_probes.state_dict().items()}


class Watch(pl.Callback):
    """Records the auxiliary probes after every step."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Tensor]] = []
        self.everything_from: list[int | None] = []

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *args: Any) -> None:
        self.seen.append(weights(module))
        self.everything_from.append(module.everything_from)


def test_probes_are_used_in_every_step(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after the circuit-only phase, which ends at the first check, after ten steps."""
    used: list[bool] = []
    evaluate = Objective.evaluate

    def watched(
        self: Objective, model: Any, pairs: Any, drawn: Any, auxiliary_probes: AuxiliaryProbes | None = None
    ) -> Any:
        if torch.is_grad_enabled():
            used.append(auxiliary_probes is not None)
        else:
            assert auxiliary_probes is None, "no measurement uses them"
        return evaluate(self, model, pairs, drawn, auxiliary_probes)

    monkeypatch.setattr(Objective, "evaluate", watched)
    monkeypatch.setitem(HOPELESS, "numerical", 1.0)
    monkeypatch.setattr(
        "siit.training.fit.checks.circuit_alone", lambda *arguments: (1.0, circuit_alone(*arguments)[1])
    )
    watch = Watch()
    module = fitted(read_settings(composed("trainer.max_steps=20")), tmp_path, watch)
    assert module.everything_from == 10 and used == [True] * 20
    same = [torch.equal(a["maps.0.weight"], b["maps.0.weight"]) for a, b in zip(watch.seen[:-1], watch.seen[1:])]
    assert not any(same)
    # What is certified and saved is the transformer alone.
    shapes = module.model.config.parameter_shapes()
    assert set(module.ema.state_dict()) == set(module.model.state_dict()) == set(shapes)


def test_no_probes(composed: Compose, tmp_path: Path) -> None:
    watch = Watch()
    settings = read_settings(composed("objective.probe_weight=0", "trainer.max_steps=10"))
    fitted(settings, tmp_path, watch)
    untrained = make_module(plan_of(settings), settings)
    assert all(torch.equal(tensor, watch.seen[-1][name]) for name, tensor in weights(untrained).items())


@pytest.mark.slow
def test_a_run_is_resumed_with_its_probes(composed: Compose, tmp_path: Path) -> None:
    settings = read_settings(composed("objective.circuit_first=1", "trainer.max_steps=20"))
    whole = fitted(settings, tmp_path / "whole")
    assert whole.everything_from is None

    class Death(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.global_step == 14:
                raise _Died

    folder = RunFolder(tmp_path / "cut", settings.case.name, settings.seed)
    folder.open({}, resume=True)
    plan = plan_of(settings)
    with pytest.raises(_Died):
        fit(plan, settings, folder, callbacks=[Death()])
    checkpoint = folder.open({}, resume=True)
    assert checkpoint is not None
    saved = torch.load(checkpoint, weights_only=False)["state_dict"]
    assert {name for name in saved if name.startswith("auxiliary_probes.")} == {
        "auxiliary_probes.maps.0.weight",
        "auxiliary_probes.maps.0.bias",
    }
    resumed = fit(plan, settings, folder, checkpoint).module
    assert all(torch.equal(tensor, weights(resumed)[name]) for name, tensor in weights(whole).items())
    averaged = resumed.ema.state_dict()
    assert all(torch.equal(tensor, averaged[name]) for name, tensor in whole.ema.state_dict().items())


class _Died(Exception):
    """Stands for a kill."""
