"""Holds a stored certificate against itself: its verdict must follow from its own numbers, by the same rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from siit._text import shortened
from siit.certificate.fields import BARS, BY_KIND, KINDS, MIN_CHANGED, MIN_SCORED
from siit.certificate.reading import wrong
from siit.certificate.verdict import failures

if TYPE_CHECKING:
    from siit.certificate.certificate import Certificate


def check_consistency(certificate: Certificate) -> None:
    """Checks that numbers agree with each other, and that the verdict is what follows from them.

    Args:
        certificate: each of whose fields has been checked.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """
    _check_shares(certificate)
    _check_names(certificate)
    reasons = _reasons(certificate)
    if certificate.certified and reasons:
        raise wrong("certified", True, f"false, for {reasons[0]}")
    if not certificate.certified and not reasons:
        raise wrong("certified", False, "true, for every bar holds")


def _check_shares(certificate: Certificate) -> None:
    """Each share is the least of its components, and rests on what `evidence` counts."""
    spared: Iterable[str] = certificate.evidence["nothing_measured"]
    counted = {name for name in certificate.shares if getattr(certificate, name) is not None and name not in spared}
    if odd := sorted(counted ^ set(certificate.evidence["scored"])):
        raise wrong("evidence.scored", f"other fields than those measured: {shortened(odd)}", "the same")
    for name in certificate.shares:
        value, components = getattr(certificate, name), certificate.details.get(name)
        if name in spared:
            if value != 1 or components:
                raise wrong(name, value, "1, for nothing of it was there to be measured")
        elif value is None:
            if components:
                raise wrong(name, value, "the least of its components, for they were measured")
        elif components is not None and value != min(components.values(), default=None):
            raise wrong(
                name, value, f"the least of details.{name}, {min(components.values(), default='which is empty')}"
            )
    if certificate.first_kind:
        _check_zero(certificate)
    else:
        _check_kinds(certificate)


def _check_zero(certificate: Certificate) -> None:
    """In the first kind, an edge from `pos_embed` has the worse of two replacements."""
    edges = certificate.details.get("strict_edge", {})
    for name, value in certificate.details.get("strict_edge_zero", {}).items():
        if edges.get(name, 2) > value:
            raise wrong(f"details.strict_edge.{name}", edges.get(name), f"at most {value}, as replaced by zero")


def _check_kinds(certificate: Certificate) -> None:
    """Each component has its least value over the kinds of replacement, under all of which it was measured."""
    by_kind = certificate.details.get("by_kind", {})
    for field in BY_KIND:
        shares, kinds = certificate.details.get(field, {}), by_kind.get(field, {})
        where = f"details.by_kind.{field}"
        if shares:
            _expect_same(where, set(kinds), "the kinds of replacement", set(KINDS))
        for kind, found in kinds.items():
            _expect_same(f"{where}.{kind}", set(found), f"details.{field}", set(shares))
        for name, value in shares.items():
            least = min(found[name] for found in kinds.values())
            if value != least:
                raise wrong(f"details.{field}.{name}", value, f"the least over the kinds of replacement, {least}")
    if found := set(certificate.details.get("strict_adversarial", {})):
        _expect_same("details.strict_adversarial", found, "the kinds of replacement", set(KINDS))


def _check_names(certificate: Certificate) -> None:
    """Units and high-level edges are the same wherever they are named."""
    names = {field: set(certificate.details[field]) for field in ("iia", "edge_iia") if field in certificate.details}
    interchanges = set(certificate.evidence["exchanges"])
    if certificate.effect is not None:
        units, edges = set(certificate.effect.units), set(certificate.effect.edges)
        _expect_same("effect.units", units, "details.iia", names.get("iia", units))
        _expect_same("effect.edges", edges, "details.edge_iia", names.get("edge_iia", edges))
        _expect_same("effect", units | edges, "evidence.exchanges", interchanges)
    else:
        for field, found in names.items():
            _expect_same(f"details.{field}", found, "evidence.exchanges", found & interchanges)
    subsets = certificate.details.get("subsets", {})
    _expect_same("details.strict_subsets", set(certificate.details.get("strict_subsets", {})), "subsets", set(subsets))


def _expect_same(field: str, found: set[str], other: str, accepted: set[str]) -> None:
    if odd := sorted(found ^ accepted):
        raise wrong(field, f"other names than in {other}: {shortened(odd)}", "the same")


def _reasons(certificate: Certificate) -> list[str]:
    """Lists what speaks against the model, the certificate's own bars and counts included."""
    values: dict[str, Mapping[str, float]] = {}
    for name in certificate.shares:
        if (value := getattr(certificate, name)) is not None:
            values[name] = certificate.details.get(name) or {"all": value}
    how: Mapping[str, Any] = certificate.details.get("effect", {})
    low = [name for name, bar in certificate.bars.items() if bar < BARS[name]]
    return [
        *certificate.failed,
        *failures(values, certificate.effect, how, certificate.evidence, certificate.bars),
        *(f"{name}, which was not measured" for name in _unmeasured(certificate)),
        *(f"bars.{name}, which is {certificate.bars[name]:g}, below {BARS[name]:g}" for name in low),
        *_too_few(certificate.evidence),
    ]


def _unmeasured(certificate: Certificate) -> list[str]:
    return [name for name in (*certificate.shares, "effect") if getattr(certificate, name) is None]


def _too_few(evidence: Mapping[str, Any]) -> list[str]:
    if evidence["exhaustive"]:
        return []
    own = {"scored": MIN_SCORED, "changed_pairs": MIN_CHANGED}
    required = evidence["required"]
    return [
        f"evidence.required.{name}, which is {required[name]}, below {count}"
        for name, count in own.items()
        if required[name] < count
    ]
