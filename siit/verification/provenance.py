"""Provenance: whose program a bundle is of, held against the catalogue that ships with the package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from siit.bundle import Bundle
from siit.catalogue import catalogue
from siit.tasks.fingerprint import INPUTS, causal_fingerprint

_DRAWN = re.compile(r"random-(pointwise|single|composed|deep)-\d+")
OWN = "an own program"


@dataclass(frozen=True)
class Provenance:
    """What is known of a bundle's program.

    Attributes:
        text: whose it is, in words.
        findings: where a claim of the bundle's name does not hold.
        inputs: the catalogue's input space, where it is of the catalogue.
    """

    text: str
    findings: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None


def provenance(bundle: Bundle) -> Provenance:
    """Compares a bundle's causal model with that of the catalogue's case whose name it has."""
    known = catalogue().get(bundle.case)
    if known is None:
        if _DRAWN.fullmatch(bundle.case):
            return Provenance(f"claims to be {bundle.case} of the generator, which only a training install draws again")
        return Provenance(OWN)
    found = causal_fingerprint(bundle.causal_model)
    if found != known.fingerprint:
        wrong = f"causal_model.json: found fingerprint {found}, accepted for {bundle.case} is {known.fingerprint}"
        return Provenance(f"not the catalogue's {bundle.case}", (wrong,))
    texts = {variable["name"]: variable["description"] for variable in bundle.causal_model["variables"]}
    ours = {variable.name: variable.role for variable in known.variables}
    lies = [name for name in ours if texts.get(name) != ours[name]]
    findings = tuple(
        f"causal_model.json: description of {name}: found {texts.get(name)!r}, accepted is {ours[name]!r}"
        for name in lies[:1]
    )
    declared = bundle.causal_model.get(INPUTS, known.inputs)
    text = f"{bundle.case} of the catalogue"
    return Provenance(text if declared == known.inputs else f"{text}, on other inputs", findings, known.inputs)
