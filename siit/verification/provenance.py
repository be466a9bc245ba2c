"""Provenance: whose program a bundle is of, held against the catalogue and the drawn programs that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siit.bundle import Bundle
from siit.catalogue import catalogue, drawn_programs, is_drawn
from siit.tasks.fingerprint import INPUTS, causal_fingerprint

OWN = "an own program"


@dataclass(frozen=True)
class Provenance:
    """What is known of a bundle's program.

    Attributes:
        text: whose it is, in words.
        findings: where a claim of the bundle's name does not hold.
        inputs: the input space that is known of the catalogue's case, or of the drawn program.
        other_inputs: whether the bundle declares another one than that, on which alone its certificate holds.
    """

    text: str
    findings: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None
    other_inputs: bool = False


def provenance(bundle: Bundle) -> Provenance:
    """Compares a bundle's causal model with what the catalogue, or the generator, has under its name.

    The first seeds of the generator are known (`siit/data/drawn.json`). Others are never drawn here, which takes the
    training install, and so count as own programs.
    """
    name = bundle.case
    if (known := catalogue().get(name)) is not None:
        roles = {variable.name: variable.role for variable in known.variables}
        return _compared(bundle, "the catalogue", known.fingerprint, known.inputs, roles)
    if (drawn := drawn_programs().get(name)) is not None:
        return _compared(bundle, "the generator", drawn.fingerprint, drawn.inputs, drawn.roles)
    return Provenance(f"{OWN}; whether the generator draws it as {name} was not checked" if is_drawn(name) else OWN)


def _compared(
    bundle: Bundle, whose: str, fingerprint: str, inputs: Mapping[str, Any], roles: Mapping[str, str]
) -> Provenance:
    """Compares fingerprint, words and inputs."""
    found = causal_fingerprint(bundle.causal_model)
    if found != fingerprint:
        wrong = f"causal_model.json: found fingerprint {found}, accepted for {bundle.case} is {fingerprint}"
        return Provenance(f"not {whose}'s {bundle.case}", (wrong,))
    texts = {variable["name"]: variable["description"] for variable in bundle.causal_model["variables"]}
    lies = [name for name in roles if texts.get(name) != roles[name]]
    findings = tuple(
        f"causal_model.json: description of {name}: found {texts.get(name)!r}, accepted is {roles[name]!r}"
        for name in lies[:1]
    )
    text = f"{bundle.case} of {whose}"
    other = bundle.causal_model.get(INPUTS, inputs) != inputs
    return Provenance(f"{text}, on other inputs" if other else text, findings, inputs, other)


def place_findings(bundle: Bundle, folder: Path) -> Iterator[str]:
    """Tells where the folder has the name of another known case than the bundle: a reader goes by that name.

    Args:
        bundle: what was read.
        folder: from where.
    """
    place = folder.resolve()
    name = place.parent.name
    known = name in catalogue() or name in drawn_programs()
    if place.name == f"seed-{bundle.seed}" and known and name != bundle.case:
        yield f"folder: found {name}/{place.name}, accepted is {bundle.case}/{place.name}, or a folder of another name"
