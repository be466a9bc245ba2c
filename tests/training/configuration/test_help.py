"""The help: every group, every field that the chosen options have, each with its meaning."""

from __future__ import annotations

import dataclasses
import re
import string
import subprocess
import sys
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from siit.training.configuration.groups import register_groups
from siit.training.configuration.help import field_docs, register_help
from siit.training.configuration.location import conf_dir
from siit.training.configuration.model import ModelSettings
from siit.training.configuration.programs import DrawnCase
from siit.training.configuration.settings import Settings


def help_text(*overrides: str) -> str:
    register_groups()
    register_help()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return str(compose("config", list(overrides), return_hydra_config=True).hydra.help.template)


@pytest.fixture(scope="module")
def shown() -> str:
    """The help on a drawn program, of an objective without a curriculum."""
    return help_text("case=random", "objective=iit", "seed=3")


def test_every_field_is_shown_with_its_meaning(shown: str):
    lines = shown.splitlines()
    chosen: tuple[tuple[str, Any, dict[str, str]], ...] = (
        ("model", ModelSettings(), field_docs(ModelSettings)),
        ("case", DrawnCase(), field_docs(DrawnCase)),
    )
    for group, settings, docs in chosen:
        for field in dataclasses.fields(settings):
            if field.name.startswith("_"):
                continue
            (at,) = [n for n, line in enumerate(lines) if re.match(rf"  {group}\.{field.name}(=|\.\*)", line)]
            words = docs[field.name].split()[:3]
            assert " ".join(words) in " ".join(" ".join(lines[at : at + 2]).split())


def test_the_values_are_those_that_were_chosen(shown: str):
    for line in ("  seed=3 ", "  case.tier=composed ", "  model.n_layers=null ", "  objective.terms.iit.share=0.5 "):
        assert line in shown
    assert "objective.terms.siit" not in shown
    assert "case=random" in shown and "objective=iit  " in shown and "behaviour, iit, siit, siit_node" in shown


def test_what_is_no_case_is_not_shown(shown: str):
    for name in ("_recipe", "_catalogue", "_ioi", "ioi_cases", "base="):
        assert name not in shown
    assert "195 programs" in shown and "python -m siit.cases" in shown
    assert "reverse, " not in shown, "the catalogue is not printed"


def test_the_help_can_be_filled_in_by_hydra(shown: str):
    """It treats what follows a dollar as a name."""
    raw = help_text("case=frac_prevs")
    assert "objective.circuit_first=$${case.circuit_first}" in raw
    assert "objective.circuit_first=${case.circuit_first}" in string.Template(raw).substitute()


def test_the_default_is_shown_where_nothing_is_chosen():
    text = help_text()
    for field in dataclasses.fields(Settings()):
        value: Any = getattr(Settings(), field.name)
        if isinstance(value, int | str) and not isinstance(value, bool):
            assert f"  {field.name}={value} " in text


@pytest.mark.slow
def test_a_reader_that_stops_early_ends_it_without_a_word():
    command = [sys.executable, "-m", "siit.train", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait()
