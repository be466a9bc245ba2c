"""Values that cannot be: every one gives the key, what was found and what is accepted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from siit.train import train
from siit.training.configuration import overrides
from siit.training.configuration.draws import InterchangeSettings, TermSettings
from siit.training.configuration.objective import ObjectiveSettings, terms_of
from siit.training.configuration.settings import ConfigError, Settings, read_settings
from siit.training.fit.plan import plan_for
from siit.training.rasp import ProgramTask
from tests.builders.runs import Compose


@pytest.fixture(scope="module")
def default() -> dict[str, Any]:
    """What the command line composes without an override, as plain values."""
    plain: Any = OmegaConf.to_container(overrides.composed(), resolve=True)
    return plain


def changed(plain: dict[str, Any], changes: dict[str, Any]) -> DictConfig:
    config = OmegaConf.create(plain)
    for key, value in changes.items():
        OmegaConf.update(config, key, value, force_add=True)
    return config


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("trainer.max_steps", "abc", "trainer.max_steps: found 'abc', accepted is an integer"),
        ("trainer.max_steps", 7, "accepted is a multiple of trainer.check_every=50"),
        ("trainer.learning_rate", 0, "trainer.learning_rate: found 0.0, accepted is a number above 0"),
        ("trainer.accelerator", "tpu", "accepted is auto, cpu, gpu"),
        ("trainer.devices", 2, "trainer.devices: found 2, accepted is 1, or the index of one GPU in a list"),
        ("trainer.devices", [0, 1], r"trainer.devices: found \[0, 1\], accepted is 1, or"),
        ("trainer.devices", [-1], r"trainer.devices: found \[-1\], accepted is 1, or"),
        ("trainer.devices", True, "trainer.devices: found True, accepted is 1, or"),
        ("trainer.devices", "all", "trainer.devices: found 'all', accepted is 1, or"),
        ("trainer.precision", "bf16", "trainer.precision: found 'bf16', accepted is 32-true, bf16-mixed, 16-mixed"),
        ("trainer.ema_decay", 1, "trainer.ema_decay: found 1.0, accepted is a number from 0 to below 1"),
        ("trainer.warmup_steps", -1, "trainer.warmup_steps: found -1, accepted is 0 or more"),
        ("trainer.validation_bar", 1.5, "trainer.validation_bar: found 1.5, accepted is a number from 0 to 1"),
        ("seed", -1, "seed: found -1"),
        ("seed", 1 << 31, "seed: found 2147483648, accepted is an integer from 0 to 2147483647"),
        ("model.n_heads", 0, "model.n_heads: found 0"),
        ("model.extra_layers", -1, "model.extra_layers: found -1, accepted is 0 or more"),
        ("objective.prioritised", 1, "objective.prioritised: found 1.0"),
        ("objective.replay", 1, "objective.replay: found 1.0"),
        ("objective.candidates", -1, "objective.candidates: found -1, accepted is 0 or more"),
        ("objective.probe_weight", -1, "objective.probe_weight: found -1.0, accepted is 0 or more"),
        ("objective.next_token", -0.5, "objective.next_token: found -0.5, accepted is 0 or more"),
        ("objective.circuit_first", 0, "objective.circuit_first: found 0.0, accepted is null or a number above 0"),
        ("objective.terms.siit.constant", 2, "objective.terms.siit.constant: found 2.0, accepted is a probability"),
        ("objective.terms.siit.weight", -1, "objective.terms.siit.weight: found -1.0, accepted is 0 or more"),
        ("objective.terms.siit.share", 0, "share: found 0.0"),
        ("objective.terms.siit.share", 0.5, r"objective.terms.\*.share: found {'siit': 0.5}, accepted is shares that"),
        ("objective.terms.siit.ablation.zero", 3, "siit.ablation: AblationDraw: found .*sum to 1"),
        ("objective.terms.siit.interchange.unit", 3, "siit.interchange: InterchangeDraw: found .*sum to 1"),
        ("objective.terms.siit.off_circuit.one", 3, "siit.off_circuit: OffCircuitDraw: found .*sum to 1"),
        ("objective.terms.siit.ablation.noise", 0.1, "noise: no such key in .*, accepted: resample, mean, zero"),
        ("objective.terms", "none", "objective.terms: "),
        ("extra", 1, "extra: no such key in the top level, accepted: seed, out"),
        ("case._target_", "os.system", "case._target_: found 'os.system', accepted is a class of settings of a case"),
        ("case._target_", "os.PathLike", "case._target_: found 'os.PathLike', accepted is a class of settings"),
        ("case._target_", None, "case._target_: found None, accepted is"),
        ("case.max_len", 3, "case.max_len: found 3; the catalogue fixes it, use case=custom for your own"),
        ("model.d_model", "???", "model.d_model: missing, accepted is a value: model.d_model=..."),
        ("model.d_model", "${no.such.key}", "model.d_model: Interpolation key 'no.such.key' not found"),
    ],
)
def test_bad_values(default: dict[str, Any], key: str, value: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        read_settings(changed(default, {key: value}))


def test_an_objective_needs_terms():
    with pytest.raises(ConfigError, match=r"objective.terms: found {}, accepted is at least one term"):
        ObjectiveSettings(terms={}).check()


def test_terms_are_made_of_their_settings():
    settings = ObjectiveSettings(terms={"one": TermSettings(interchange=InterchangeSettings(0.5, 0.25, 0.25))})
    assert vars(terms_of(settings)["one"].interchange) == {"none": 0.5, "unit": 0.25, "edge": 0.25}


@pytest.fixture(scope="module")
def tasks() -> dict[str, ProgramTask]:
    """Each task once."""
    settings = {name: read_settings(overrides.composed(f"case={name}")) for name in ("frac_prevs", "reverse")}
    settings["open_minus_close_fraction"] = read_settings(overrides.composed("case=open_minus_close_fraction"))
    return {name: found for name, one in settings.items() if isinstance(found := one.case.make_task(), ProgramTask)}


@pytest.mark.parametrize(
    ("case", "changes", "message"),
    [
        ("reverse", {"n_layers": 2}, "model.n_layers: found 2, the program needs at least 3"),
        ("open_minus_close_fraction", {"n_heads": 1}, "model.n_heads: found 1, .* at least 2 in one layer"),
        ("frac_prevs", {"d_model": 30}, "model.d_model: found 30, accepted is a multiple"),
        ("frac_prevs", {"act_fn": "tanh"}, "act_fn: found 'tanh', accepted: 'gelu'"),
        ("frac_prevs", {}, "unknown variables .*accepted: is_x, frac_prevs"),
    ],
)
def test_impossible_plans(tasks: dict[str, ProgramTask], case: str, changes: dict[str, Any], message: str):
    settings = Settings()
    for name, value in changes.items():
        assert hasattr(settings.model, name)
        setattr(settings.model, name, value)
    if not changes:
        settings.case.alignment.heads = {"nothing": 2}
    with pytest.raises(ConfigError, match=message):
        plan_for(tasks[case], settings)


def test_next_tokens_need_answers_that_are_tokens(composed: Compose):
    message = r"objective\.next_token: found 0\.5, accepted is 0 where answers are not tokens, as in case=histogram"
    with pytest.raises(ConfigError, match=message):
        train(composed("case=histogram", "objective.next_token=0.5"))


def test_every_message_names_what_is_accepted(default: dict[str, Any]):
    """Of any number that is out of its range."""
    for group in ("model", "trainer"):
        for name, value in default[group].items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name != "eps":
                with pytest.raises(ConfigError, match=rf"{group}\.{name}: found -5.*, accepted is "):
                    read_settings(changed(default, {f"{group}.{name}": -5}))
    assert not re.search("-5", str(default))
