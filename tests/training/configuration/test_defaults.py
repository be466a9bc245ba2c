"""The dataclasses are the only source of defaults: what is composed is what they say, and conf/ adds what differs."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import MISSING, DictConfig, OmegaConf

from siit.training.configuration.case import AlignmentSettings, CaseSettings, recipe_off_circuit
from siit.training.configuration.draws import (
    AblationSettings,
    InterchangeSettings,
    OffCircuitSettings,
    TermSettings,
)
from siit.training.configuration.groups import BASE
from siit.training.configuration.help import field_docs
from siit.training.configuration.location import conf_dir
from siit.training.configuration.loggers import CSVFile, NoLogger, TensorBoardFiles, WeightsAndBiases
from siit.training.configuration.model import ModelSettings
from siit.training.configuration.objective import ObjectiveSettings, terms_of
from siit.training.configuration.overrides import composed
from siit.training.configuration.programs import CatalogueCase, CustomCase, DrawnCase
from siit.training.configuration.sentences import SentenceCase
from siit.training.configuration.settings import RunSettings, Settings, read_settings
from siit.training.configuration.trainer import TrainerSettings
from siit.training.objective import AblationDraw, InterchangeDraw, OffCircuitDraw, Term

SETTINGS = (
    *(RunSettings, Settings, ModelSettings, ObjectiveSettings, TrainerSettings, AlignmentSettings, TermSettings),
    *(NoLogger, CSVFile, TensorBoardFiles, WeightsAndBiases),
    *(InterchangeSettings, OffCircuitSettings, AblationSettings, CatalogueCase, CustomCase, DrawnCase, SentenceCase),
)
OWN = ["case=custom", "case.program=a:b", "case.vocab=[a,b]", "case.max_len=4"]


@cache
def settings_of(*overrides: str) -> Settings:
    return read_settings(composed(*overrides))


@pytest.fixture(scope="module")
def default() -> DictConfig:
    """What the command line composes without an override."""
    return composed()


@pytest.mark.parametrize("group", [field.name for field in dataclasses.fields(Settings)])
def test_the_dataclasses_defaults_are_what_is_composed(default: DictConfig, group: str):
    assert getattr(read_settings(default), group) == getattr(Settings(), group)


def test_what_is_composed_has_the_dataclasses_types(default: DictConfig):
    """So Hydra itself refuses a wrong type."""
    expected = {"case": CatalogueCase, "model": ModelSettings, "objective": ObjectiveSettings}
    assert {name: OmegaConf.get_type(default, name) for name in expected} == expected
    assert OmegaConf.get_type(default, "trainer") is TrainerSettings
    assert OmegaConf.get_type(default.case, "off_circuit") is OffCircuitSettings


def test_a_record_is_read_as_what_it_was_made_of():
    """A resolved configuration as plain text, as it is kept in train.yaml."""
    for overrides in ((), ("case=random", "objective=iit"), ("case=ioi_full",), tuple(OWN)):
        text = OmegaConf.to_yaml(composed(*overrides), resolve=True)
        assert read_settings(OmegaConf.create(text)) == settings_of(*overrides)


def test_what_differs_in_the_options_of_model():
    expected = ModelSettings(extra_layers=0, d_model=32, normalization_type=None, embedding_std=0.3)
    assert settings_of("model=interpbench").model == expected


def test_the_options_of_logger():
    assert settings_of("logger=none").logger == {"_target_": None}
    assert settings_of("logger=tensorboard").logger == dataclasses.asdict(TensorBoardFiles())
    expected = {"name": "reverse-seed-2", "group": "reverse", "tags": ["siit", "d_model 64"]}
    found = settings_of("case=reverse", "seed=2", "logger=wandb").logger
    assert found == dataclasses.asdict(WeightsAndBiases()) | expected


def test_what_differs_in_the_options_of_case():
    assert settings_of("case=random").case == DrawnCase()
    assert settings_of("case=random-deep-0").case == DrawnCase(tier="deep", generator_seed=0)
    assert settings_of("case=quadratic_of_first").case == CatalogueCase(name="quadratic_of_first", min_len=4)
    assert settings_of(*OWN).case == CustomCase(program="a:b", vocab=["a", "b"], max_len=4)
    assert settings_of("case=ioi").case == SentenceCase(name="ioi", circuit_first=0.997)


def test_no_case_sets_its_alignment():
    """What a variable needs follows from the causal model."""
    for path in (conf_dir() / "case").glob("*.yaml"):
        assert "alignment" not in path.read_text(), path


@pytest.mark.parametrize("name", ["behaviour", "iit", "siit_node"])
def test_the_papers_objectives_have_terms_alone(name: str):
    chosen = settings_of(f"objective={name}").objective
    plain = ObjectiveSettings(
        name=name,
        terms=chosen.terms,
        circuit_first=None,
        probe_weight=0.0,
        attention_weight=0.0,
        leakage_weight=0.0,
        prioritised=0.0,
        replay=0.0,
        candidates=0,
        adversarial=0.0,
        escalation=False,
    )
    assert chosen == dataclasses.replace(plain, source_gradient=name != "behaviour")
    assert {term: (one.weight, one.share) for term, one in chosen.terms.items()} == {
        "behaviour": {"behaviour": (1.0, 1.0)},
        "iit": {"behaviour": (1.0, 0.5), "iit": (1.0, 0.5)},
        "siit_node": {"behaviour": (1.0, 0.34), "iit": (1.0, 0.33), "strict": (0.4, 0.33)},
    }[name]


def test_the_terms_of_the_papers_objectives():
    terms = terms_of(settings_of("objective=siit_node").objective)
    unit = InterchangeDraw(none=0.0, unit=1.0)
    assert terms == {
        "behaviour": Term(share=0.34),
        "iit": Term(share=0.33, interchange=unit),
        "strict": Term(
            0.4, 0.33, off_circuit=OffCircuitDraw(none=0.0, one_node=1.0), ablation=AblationDraw(resample=1.0)
        ),
    }
    assert terms_of(settings_of("objective=iit").objective)["iit"] == Term(share=0.5, interchange=unit)


@pytest.mark.parametrize(
    ("settings", "draw"),
    [(InterchangeSettings, InterchangeDraw), (OffCircuitSettings, OffCircuitDraw), (AblationSettings, AblationDraw)],
)
def test_draws_have_the_same_fields_and_defaults(settings: Any, draw: Any):
    assert vars(settings()) == vars(draw())


def test_a_plain_term_has_the_same_defaults():
    assert TermSettings().typed("objective.terms.plain") == Term()


def test_the_default_term_is_that_of_the_recipe():
    """The case's recipe and the objective's term are one default, from two places that a model may be told from."""
    assert Settings().objective.terms["siit"].off_circuit == recipe_off_circuit() == Settings().case.off_circuit
    for name in ("circuit_first", "probe_weight"):
        assert getattr(ObjectiveSettings(), name) == getattr(CaseSettings, name)


def test_a_changed_recipe_is_read_by_siit_alone():
    recipe: tuple[str, ...] = (
        "case.circuit_first=0.5",
        "case.probe_weight=7",
        "case.off_circuit.none=0.25",
        "case.off_circuit.all=0.2",
    )
    chosen = settings_of(*recipe).objective
    assert (chosen.circuit_first, chosen.probe_weight) == (0.5, 7.0)
    assert terms_of(chosen)["siit"].off_circuit == OffCircuitDraw(none=0.25, all=0.2, subset=0.35, one=0.2)
    for other in ("iit", "siit_node", "behaviour"):
        assert settings_of(*recipe, f"objective={other}").objective == settings_of(f"objective={other}").objective


@pytest.mark.parametrize("case", ["frac_prevs", "random", "ioi", "ioi_next_token", "ioi_full"])
def test_a_cases_own_recipe_is_that_of_siit(case: str):
    settings = settings_of(f"case={case}")
    chosen, recipe = settings.objective, settings.case
    assert chosen.terms["siit"].off_circuit == recipe.off_circuit
    for name in ("circuit_first", "probe_weight"):
        assert getattr(chosen, name) == getattr(recipe, name)


def test_the_recipe_of_ioi_full_is_read_by_siit_alone():
    for objective in ("iit", "siit_node", "behaviour"):
        chosen = settings_of("case=ioi_full", f"objective={objective}").objective
        assert chosen == settings_of(f"objective={objective}").objective
        assert "siit" not in chosen.terms
        assert (chosen.probe_weight, chosen.replay) == (0, 0)


def _leaves(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


IDENTITY = {"case.name", "case.tier", "case.generator_seed", "objective.name"}
"""What says which one it is, whether that is the default or not."""


@pytest.mark.parametrize(
    "path", [p for name in ("model", "objective", "case", BASE) for p in (conf_dir() / name).glob("*.yaml")], ids=str
)
def test_the_files_of_conf_hold_only_what_differs(path: Path):
    text = path.read_text()
    found = yaml.safe_load(text)
    del found["defaults"]
    if "@package _global_" not in text:
        found = {path.parent.name: found}
    term = {f"objective.terms.{name}.{key}": value for name in found.get("objective", {}).get("terms", {})
            for key, value in _leaves(dataclasses.asdict(TermSettings())).items()}  # fmt: skip
    kinds = (SentenceCase(), DrawnCase(), CatalogueCase())
    cases = {f"case.{key}": value for kind in kinds for key, value in _leaves(dataclasses.asdict(kind)).items()}
    defaults = _leaves(dataclasses.asdict(Settings())) | cases | (term if path.stem != "siit" else {})
    for key, value in _leaves(found).items():
        if (
            value != {}
            and key not in IDENTITY
            and not key.startswith(("case.alignment.heads.", "case.alignment.nodes."))
        ):
            assert key in defaults
            assert value != defaults[key], key


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_every_field_says_what_it_does(settings: Any):
    docs = field_docs(settings)
    for field in dataclasses.fields(settings):
        assert docs[field.name].endswith("."), field.name
        assert docs[field.name][0].isupper() or docs[field.name][0] == "<", field.name


def test_no_default_is_missing_but_what_only_a_user_knows():
    missing = {
        f"{settings.__name__}.{field.name}"
        for settings in SETTINGS
        for field in dataclasses.fields(settings)
        if field.default == MISSING
    }
    assert missing == {
        *("CatalogueCase.name", "SentenceCase.name"),
        *("CustomCase.program", "CustomCase.vocab", "CustomCase.max_len"),
    }
