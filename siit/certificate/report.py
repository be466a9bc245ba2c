"""Showing a certificate, and holding it against a stored one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from siit.certificate.certificate import SHARES, Certificate

AGREEMENT = 1e-3
"""Two certificates agree where numbers differ by at most this, absolutely or, above 1, relatively."""


def table(certificate: Certificate, title: str) -> Table:
    """Field, measured value, bar, verdict, and where the worst is."""
    result = Table(title=printable(title), title_justify="left")
    for column in ("field", "measured", "bar", "verdict", "worst at"):
        result.add_column(column, justify="right" if column in ("measured", "bar") else "left", overflow="fold")
    for field in SHARES:
        value, bar = getattr(certificate, field), certificate.bars[field]
        if value is None:
            result.add_row(field, "–", f"≥ {bar:g}", "not measured", "")
        elif field in certificate.evidence["nothing_measured"]:
            result.add_row(field, "–", f"≥ {bar:g}", "holds", "there is none")
        else:
            worst = certificate.worst(field)
            result.add_row(
                field, f"{value:.5f}", f"≥ {bar:g}", _verdict(value >= bar), printable(worst[0]) if worst else ""
            )
    if certificate.effect is not None:
        for part in ("units", "edges", "nodes"):
            _add_effect(result, certificate, part)
    for name, probe in certificate.details.get("probes", {}).items():
        for field in ("accuracy", "circuit_alone"):
            result.add_row(f"{printable(name)}: {field}", f"{probe[field]:.5f}", "", "reported", "")
    return result


def _add_effect(result: Table, certificate: Certificate, part: str) -> None:
    """A row for the least of the effects that are shares, and one for the least that is a change of logits."""
    effects = getattr(certificate.effect, part)
    for measure, bar in (("output", certificate.bars["effect"]), ("logits", certificate.bars["effect_logits"])):
        how = certificate.details["effect"][part]
        chosen = {name: value for name, value in effects.items() if how[name]["measure"] == measure}
        if chosen:
            name = min(chosen, key=chosen.__getitem__)
            label = f"effect: {part}" + (" (logits)" if measure == "logits" else "")
            result.add_row(label, f"{chosen[name]:.5f}", f"> {bar:g}", _verdict(chosen[name] > bar), printable(name))


def _verdict(holds: bool) -> str:
    return "holds" if holds else "FAILS"


def printable(text: str) -> str:
    """The text without what a terminal would obey: names come from files that are not trusted."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def evidence_line(certificate: Certificate) -> str:
    """On how much the numbers rest, in words."""
    evidence = certificate.evidence
    scored = min(evidence["scored"].values())
    counts = [entry["changed_pairs"] for entry in evidence["exchanges"].values()]
    changed = [count for count in counts if count]
    words = f"{evidence['pairs']} pairs; every number rests on at least {scored} scored positions"
    if changed:
        words += f", every exchange that changes the answer on at least {min(changed)} pairs that it changes"
    if len(changed) < len(counts):
        words += f"; {len(counts) - len(changed)} exchanges never change it (effect by zero replacement)"
    return words + ("; said to be all there are" if evidence["exhaustive"] else "")


def disagreements(measured: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Where two certificates, as JSON, say different things; wording and order apart.

    Numbers may differ by AGREEMENT, for arithmetic is not the same on every machine.
    """
    ours, theirs = _leaves(measured), _leaves(stored)
    lines = []
    for place in dict.fromkeys([*ours, *theirs]):
        if place not in ours or place not in theirs:
            where = "measured" if place in ours else "stored"
            lines.append(f"{place}: only in the {where} certificate")
        elif not _agree(ours[place], theirs[place]):
            lines.append(f"{place}: measured {_text(ours[place])}, stored {_text(theirs[place])}")
    return lines


def _leaves(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted place -> value, of all but the failures' wording."""
    leaves: dict[str, Any] = {}
    for key, value in data.items():
        place = f"{prefix}{key}"
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{place}.")
        elif place != "failed":
            leaves[place] = value
    return leaves


def _agree(one: Any, other: Any) -> bool:
    numbers = [value for value in (one, other) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == 2:
        return math.isclose(*numbers, rel_tol=AGREEMENT, abs_tol=AGREEMENT)
    return type(one) is type(other) and one == other


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
