"""Whose program a bundle is of: the catalogue's or the generator's only where that was compared."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest

from siit.bundle import Bundle
from siit.catalogue import DrawnProgram
from siit.tasks.fingerprint import INPUTS, causal_fingerprint
from siit.verification.provenance import place_findings, provenance
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
    assert not found.other_inputs


@pytest.mark.parametrize(("place", "lies"), [("reverse/seed-0", True), ("reverse/copy", False), ("mine/seed-0", False)])
def test_a_folder_of_another_case(drawn: Bundle, place: str, lies: bool):
    """Readers load by the folder's name."""
    found = list(place_findings(drawn, Path(place)))
    assert bool(found) is lies and not list(place_findings(drawn, Path(f"{KNOWN}/seed-0")))
    if lies:
        assert found[0].startswith(f"folder: found {place}, accepted is {KNOWN}/seed-0")


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
    found = provenance(drawn)
    assert (found.text, found.other_inputs) == ("random-composed-7 of the generator, on other inputs", True)


@pytest.mark.parametrize("name", ["random-deep-123456", "random-composed-7"])
def test_what_was_not_compared_is_not_said(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("siit.verification.provenance.drawn_programs", dict)
    found = provenance(handmade.bundle(case=name))
    assert found.text == f"an own program; whether the generator draws it as {name} was not checked"
    assert found.findings == ()
