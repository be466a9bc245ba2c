"""The pipeline end to end: train, certify, bundle, load, measure again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

import siit
from siit.certificate import Certificate, measure
from siit.train import train
from siit.training.configuration.settings import ConfigError, read_settings
from siit.training.fit.checkpoint_file import AtomicCheckpointIO
from siit.training.fit.checkpoints import RunFolder
from siit.training.fit.loop import fit
from siit.training.fit.pipeline import plain_config
from siit.training.fit.shortfall import NotCertified
from tests.builders.runs import Compose, fitted, plan_of

CHECKPOINT: dict[str, Any] = {
    "state_dict": {"weight": torch.zeros(1)},
    "optimizer_states": [{}],
    "lr_schedulers": [{}],
    "callbacks": {"a": {}},
    "loops": {"a": {}},
    "global_step": 10,
    "revisions": {"widened": [], "narrowed": []},
    "stands_still": "",
    "idle": [],
}
"""What a checkpoint holds at least."""


def test_a_run_ends_in_a_bundle_that_measures_the_same(small_run: Path) -> None:
    loaded = siit.load(small_run, "frac_prevs", 0)
    again = measure(
        loaded.config,
        loaded.model.state_dict(),
        loaded.circuit,
        loaded.evidence,
        loaded.answers,
    )
    stored = Certificate.from_json(loaded.certificate)
    assert stored.accuracy == pytest.approx(again.accuracy)
    assert stored.details["strict_edge"] == pytest.approx(again.details["strict_edge"])
    record = json.loads((small_run / "frac_prevs" / "seed-0" / "training.json").read_text())
    assert record["steps"] == 30 and record["device"] == "cpu" and record["threads"] == 1
    assert record["seconds"]["cpu"] > 0 and record["seconds"]["wall"] > 0
    assert not (small_run / ".runs" / "frac_prevs" / "seed-0" / "last.ckpt").exists()
    assert (small_run / ".runs" / "frac_prevs" / "seed-0" / "metrics.csv").exists()
    assert record["tests"] == 1


@pytest.mark.slow
@pytest.mark.ci
def test_the_causal_model_of_a_bundle_answers_as_its_evidence_says(composed: Compose, tmp_path: Path) -> None:
    train(composed("case=reverse", "trainer.max_steps=10"))
    loaded = siit.load(tmp_path, "reverse")
    from siit.causal import Inputs

    run = loaded.causal_model.run(Inputs(loaded.evidence["base_tokens"]))
    scored = loaded.evidence["base_scored"]
    assert torch.equal(run.scored, scored)
    assert torch.equal(run.output[scored], loaded.evidence["base_target"][scored])


def test_an_uncertified_model_is_not_bundled(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(NotCertified, match="accuracy"):
        train(composed("allow_uncertified=false", "trainer.max_steps=10"))
    assert not (tmp_path / "frac_prevs").exists()
    assert (tmp_path / ".runs" / "frac_prevs" / "seed-0" / "last.ckpt").exists()


def test_a_model_on_too_few_pairs_is_never_certified(small_run: Path) -> None:
    """Whoever asks for less evidence than the certificate does, to save time, gets no certificate."""
    loaded = siit.load(small_run, "frac_prevs")
    assert len(loaded.evidence["base_tokens"]) == 32 and not loaded.certificate["certified"]
    assert any(line.startswith("evidence: fewer than 4096 scored positions") for line in loaded.certificate["failed"])


def test_the_seed_makes_a_run_repeatable_bit_for_bit(composed: Compose, tmp_path: Path, small_run: Path) -> None:
    settings, first = read_settings(composed()), _weights(small_run)
    second = fitted(settings, tmp_path / "second").ema.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    settings.seed = 1
    other = fitted(settings, tmp_path / "other").ema.state_dict()
    assert not torch.equal(other["embed.W_E"], first["embed.W_E"])


@pytest.mark.parametrize("died_at", [3, 10, 14])
def test_an_interrupted_run_ends_as_it_would_have(
    composed: Compose, tmp_path: Path, small_run: Path, died_at: int
) -> None:
    settings, whole = read_settings(composed()), _weights(small_run)

    class Death(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.global_step == died_at:
                raise _Died

    plan, folder = plan_of(settings), RunFolder(tmp_path / "cut", "frac_prevs", 0)
    assert folder.open({}, resume=True) is None
    with pytest.raises(_Died):
        fit(plan, settings, folder, callbacks=[Death()])
    checkpoint = folder.open({}, resume=True)
    assert (checkpoint is None) == (died_at <= 10)
    resumed = fit(plan, settings, folder, checkpoint).module.ema.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_an_interrupted_run_of_another_configuration_is_not_overwritten(composed: Compose, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "frac_prevs", 0)
    config = plain_config(composed())
    folder.open(config, resume=True)
    AtomicCheckpointIO(config).save_checkpoint(CHECKPOINT, folder.checkpoint)
    before = folder.checkpoint.read_bytes()
    changed = plain_config(composed("trainer.batch_size=32"))
    with pytest.raises(ConfigError, match=r"trainer\.batch_size: 16 there, 32 here"):
        folder.open(changed, resume=True)
    assert folder.checkpoint.read_bytes() == before
    # What changes no number may differ.
    assert folder.open({**config, "logger": {"_target_": None}}, resume=True) == folder.checkpoint
    assert folder.open(changed, resume=False) is None


@pytest.mark.parametrize("objective", ["siit", "siit_node", "iit", "behaviour"])
def test_every_objective_trains(composed: Compose, tmp_path: Path, objective: str) -> None:
    overrides = [f"objective={objective}", "trainer.max_steps=10"]
    if objective != "siit":
        overrides.append("objective.circuit_first=null")
    settings = read_settings(composed(*overrides))
    weights = fitted(settings, tmp_path).ema.state_dict()
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_a_program_of_ones_own(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_program.py").write_text(
        "from tracr.rasp import rasp\n"
        "def make_program():\n"
        "    return rasp.Map(lambda token: token == 'a', rasp.tokens).named('is_a')\n"
    )
    monkeypatch.chdir(tmp_path)
    own = ["case=custom", "case.program=my_program:make_program", "case.vocab=[a,b,c]", "case.max_len=4"]
    path = train(composed(*own, "trainer.max_steps=10"))
    circuit = json.loads((path / "circuit.json").read_text())
    assert list(circuit["alignment"]) == ["is_a"]
    assert siit.load(tmp_path, "my_program-make_program").vocab.tokens[:3] == ("a", "b", "c")


@pytest.mark.slow
@pytest.mark.ci
def test_a_random_program(composed: Compose, tmp_path: Path) -> None:
    path = train(composed("case=random", "case.tier=composed", "case.generator_seed=7", "trainer.max_steps=10"))
    assert path == tmp_path / "random-composed-7" / "seed-0"
    loaded = siit.load(tmp_path, "random-composed-7")
    assert loaded.tier == "composed"
    assert all(variable["description"] for variable in loaded.circuit.variables.values())
    assert "generator_seed: 7\n" in (path / "train.yaml").read_text()


@pytest.mark.slow
@pytest.mark.ci
def test_frac_prevs_is_certified(composed: Compose, tmp_path: Path) -> None:
    config = composed(
        "model.d_model=32",
        "trainer.max_steps=6000",
        "trainer.check_every=100",
        "trainer.batch_size=64",
        "trainer.validation_pairs=512",
        "trainer.evidence_pairs=null",
        "objective.circuit_first=0.96",
        "allow_uncertified=false",
    )
    path = train(config)
    assert json.loads((path / "certificate.json").read_text())["certified"] is True
    # Started again, it finds itself done.
    manifest = (path / "manifest.json").read_bytes()
    assert train(config) == path
    assert (path / "manifest.json").read_bytes() == manifest


class _Died(Exception):
    """Stands for a kill."""


def _weights(root: Path) -> dict[str, torch.Tensor]:
    """Reads the averaged weights of the small run from its bundle."""
    return dict(siit.load(root, "frac_prevs").model.state_dict())
