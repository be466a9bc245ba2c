"""Whose program a bundle is of: the catalogue's or the generator's only where that was compared."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from siit.bundle import Bundle
from siit.catalogue import DrawnProgram
from siit.tasks.fingerprint import INPUTS, causal_fingerprint
from siit.verification.provenance import provenance
from tests.builders import handmade

KNOWN = "random-composed-7"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A bundle of the one program that the generator is said to draw."""
    plain = handmade.bundle()
    data = copy.deepcopy(dict(plain.causal_model))
    roles = {variable["name"]: variable["description"] for variable in data["variables"]}
    program = DrawnProgram(causal_fingerprint(data), plain.causal_model[INPUTS], roles)
    monkeypatch.setattr("siit.verification.provenance.drawn_programs", lambda: {KNOWN: program})
    return dataclasses.replace(plain, case=KNOWN, causal_model=data)


def test_a_program_that_the_generator_draws(drawn: Bundle):
    found = provenance(drawn)
    assert (found.text, found.findings) == ("random-composed-7 of the generator", ())


def test_another_program_under_its_name(drawn: Bundle):
    drawn.causal_model["variables"][0]["mechanism"]["table"][0] = 1
    found = provenance(drawn)
    assert found.text == "not the generator's random-composed-7"
    assert found.findings[0].startswith("causal_model.json: found fingerprint ")


def test_other_words_under_its_name(drawn: Bundle):
    drawn.causal_model["variables"][0]["description"] = "something else"
    (line,) = provenance(drawn).findings
    assert line.startswith("causal_model.json: description of is_x: found 'something else'")


def test_other_inputs_under_its_name(drawn: Bundle):
    drawn.causal_model[INPUTS]["sampler"] = "often_repeated"
    assert provenance(drawn).text == "random-composed-7 of the generator, on other inputs"


@pytest.mark.parametrize("name", ["random-deep-123456", "random-composed-7"])
def test_what_was_not_compared_is_not_said(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("siit.verification.provenance.drawn_programs", dict)
    found = provenance(handmade.bundle(case=name))
    assert found.text == f"an own program; whether the generator draws it as {name} was not checked"
    assert found.findings == ()
