"""Showing a certificate, and holding it against a stored one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from siit._text import printable
from siit.certificate.certificate import Certificate
from siit.certificate.fields import FIRST_KIND_FORMAT

AGREEMENT = 2.5e-4
"""How far numbers of two certificates may be apart, absolutely or, above 1, relatively, for arithmetic.

It is one position of the 4,096 that each share rests on at least."""
ADVERSARIAL_AGREEMENT = 2.5e-3
"""How far shares under the adversary may be apart: ten times that.

Which edges an ascent flips hangs on signs and ranks of gradients. Where two are equal but for rounding, another
machine may go another way, and find other subsets for a few examples. On one machine the number is always the same."""

_OF_ONE_KIND = re.compile(
    r"^(format|certified)$|(^|\.)(strict_node|strict_edge|strict_edge_zero|strict_subsets|strict_adversarial|by_kind|"
    r"subsets)(\.|$)"
)
"""Places of what only one kind of certificate measures, or each in its own way, and of the verdict that follows."""

COLUMNS = ("field", "measured", "bar", "verdict", "worst at")


def table(certificate: Certificate, title: str) -> Table:
    """Makes a table of the certificate's rows for a terminal."""
    result = Table(title=printable(title), title_justify="left")
    for column in COLUMNS:
        result.add_column(column, justify="right" if column in ("measured", "bar") else "left", overflow="fold")
    for row in rows(certificate):
        result.add_row(*row)
    return result


def rows(certificate: Certificate) -> list[tuple[str, str, str, str, str]]:
    """Field, measured value, bar, verdict, and where the worst is; of effects, the least of each kind."""
    found = []
    for field in certificate.shares:
        value, bar = getattr(certificate, field), certificate.bars[field]
        if value is None:
            found.append((field, "–", f"≥ {bar:g}", "not measured", ""))
        elif field in certificate.evidence["nothing_measured"]:
            found.append((field, "–", f"≥ {bar:g}", "holds", "there is none"))
        else:
            worst = certificate.worst(field)
            where = printable(worst[0]) if worst else ""
            found.append((field, f"{value:.5f}", f"≥ {bar:g}", _verdict(value >= bar), where))
    if certificate.effect is not None:
        for part in ("units", "edges", "nodes"):
            found += _effect_rows(certificate, part)
    for name, probe in certificate.details.get("probes", {}).items():
        for field in ("accuracy", "circuit_alone"):
            found.append((f"{printable(name)}: {field}", f"{probe[field]:.5f}", "", "reported", ""))
    return found


def _effect_rows(certificate: Certificate, part: str) -> list[tuple[str, str, str, str, str]]:
    """A row for the least of the effects that are shares, and one for the least that is a change of logits."""
    found = []
    effects = getattr(certificate.effect, part)
    for measure, bar in (("output", certificate.bars["effect"]), ("logits", certificate.bars["effect_logits"])):
        how = certificate.details["effect"][part]
        chosen = {name: value for name, value in effects.items() if how[name]["measure"] == measure}
        if chosen:
            name = min(chosen, key=chosen.__getitem__)
            label = f"effect: {part}" + (" (logits)" if measure == "logits" else "")
            verdict = _verdict(chosen[name] > bar)
            found.append((label, f"{chosen[name]:.5f}", f"> {bar:g}", verdict, printable(name)))
    return found


def _verdict(holds: bool) -> str:
    return "holds" if holds else "FAILS"


def evidence_line(certificate: Certificate, n_ctx: int) -> str:
    """Says on how much the numbers rest, and how much is not scored.

    Args:
        certificate: what was measured.
        n_ctx: positions of an input.
    """
    evidence = certificate.evidence
    scored = min(evidence["scored"].values())
    every, undefined = evidence["pairs"] * n_ctx, [entry["undefined_share"] for entry in evidence["exchanges"].values()]
    unscored = every - evidence["scored"]["accuracy"]
    counts = [entry["changed_pairs"] for entry in evidence["exchanges"].values()]
    changed = [count for count in counts if count]
    words = f"{evidence['pairs']} pairs; every number rests on at least {scored} scored positions"
    if changed:
        words += f", every interchange that changes the answer on at least {min(changed)} pairs that it changes"
    if len(changed) < len(counts):
        words += f"; {len(counts) - len(changed)} interchanges never change it (effect by zero replacement)"
    words += f"; {unscored} of {every} positions of the bases are not scored (BOS, padding, undefined)"
    if undefined:
        words += f", and an interchange leaves up to {max(undefined):.1%} of the others without an answer"
    return words + ("; said to be all there are" if evidence["exhaustive"] else "")


def disagreements(measured: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Lists where two certificates, as JSON, say different things; wording and order apart.

    Shares and changes may differ by AGREEMENT, or ADVERSARIAL_AGREEMENT, for arithmetic is not the same on every
    machine; counts may not. Of a stored certificate of the first kind only that is looked at which both kinds measure
    alike: not single parts and subsets, which the second kind measures more strictly, and on fewer pairs.
    """
    ours, theirs = _leaves(measured), _leaves(stored)
    if stored.get("format") == FIRST_KIND_FORMAT != measured.get("format"):
        ours, theirs = _alike(ours), _alike(theirs)
    lines = []
    for place in dict.fromkeys([*ours, *theirs]):
        if place not in ours or place not in theirs:
            where = "measured" if place in ours else "stored"
            lines.append(f"{place}: only in the {where} certificate")
        elif not _agree(ours[place], theirs[place], _tolerance(place)):
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


def _alike(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """What both kinds of certificate measure on the same pairs."""
    return {place: value for place, value in leaves.items() if not _OF_ONE_KIND.search(place)}


def _tolerance(place: str) -> float:
    return ADVERSARIAL_AGREEMENT if "strict_adversarial" in place.split(".") else AGREEMENT


def _agree(one: Any, other: Any, tolerance: float) -> bool:
    numbers = [value for value in (one, other) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == 2 and any(isinstance(value, float) for value in numbers):
        return math.isclose(*numbers, rel_tol=tolerance, abs_tol=tolerance)
    return type(one) is type(other) and one == other


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
