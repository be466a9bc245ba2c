"""Checks a certificate's data (`certificate.json`) field by field: types, ranges, and that no name is unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from siit._text import shortened
from siit.certificate.fields import (
    BARS,
    BY_KIND,
    CERTIFICATE_FORMAT,
    FIRST_KIND_FORMAT,
    KINDS,
    SECOND_KIND_ONLY,
    SHARES,
)

PARTS = ("units", "edges", "nodes")
"""Of the circuit, of each of which an effect is measured."""
_AROUND = ("certified", "effect", "details", "bars", "failed", "evidence")
_FIRST_KIND = tuple(name for name in SHARES if name not in SECOND_KIND_ONLY)
_EVIDENCE = ("pairs", "exhaustive", "required", "scored", "exchanges", "nothing_measured")
_COUNTS = ("scored", "changed_pairs", "changed_positions")
_LARGEST = 1 << 53
"""Of counts: all are exact as floating point numbers too."""

Check = Callable[[str, Any], None]
"""Raises ValueError unless the field of this name has an accepted value."""


def check_fields(data: Mapping[str, Any]) -> None:
    """Checks every field of `certificate.json`, those of its details and counts included; not what they say together.

    Args:
        data: the file's content.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """
    formats = {CERTIFICATE_FORMAT: SHARES, FIRST_KIND_FORMAT: _FIRST_KIND}
    found = data.get("format")
    if found not in tuple(formats):
        raise wrong("format", found, " or ".join(map(repr, formats)))
    shares, first_kind = formats[found], found == FIRST_KIND_FORMAT
    fields = (_AROUND[0], *shares, *_AROUND[1:])
    for name in fields:
        if name not in data:
            raise wrong(name, "nothing", "a value")
    for name in data:
        if name not in ("format", *fields):
            raise wrong(name, "a field of this name", ", ".join(fields))
    _flag("certified", data["certified"])
    for name in shares:
        if data[name] is not None:
            _share(name, data[name], ", or null if not measured")
    if data["effect"] is not None:
        _object("effect", data["effect"], PARTS, "an object of units, edges, nodes, or null if not measured")
        for part in PARTS:
            _each(f"effect.{part}", data["effect"][part], _amount)
    _check_details(data["details"], data["effect"], (*shares, "strict_edge_zero") if first_kind else shares, first_kind)
    _object("bars", data["bars"], tuple(name for name in BARS if name not in SHARES or name in shares))
    _each("bars", data["bars"], _amount)
    failed = data["failed"]
    if not isinstance(failed, list) or not all(isinstance(line, str) for line in failed):
        raise wrong("failed", failed, "a list of strings")
    _check_evidence(data["evidence"], shares)


def _check_details(
    details: Any, effect: Mapping[str, Any] | None, components: tuple[str, ...], first_kind: bool
) -> None:
    known = (*components, *(() if first_kind else ("by_kind",)), "subsets", "effect", "probes")
    _mapping("details", details)
    for name in details:
        if name not in known:
            raise wrong(f"details.{name}", "a field of this name", ", ".join(known))
    for name in components:
        _each(f"details.{name}", details.get(name, {}), _share)
    _each("details.by_kind", details.get("by_kind", {}), _kinds)
    for name in details.get("by_kind", {}):
        _choice(f"details.by_kind.{name}", name, BY_KIND)
    _each("details.subsets", details.get("subsets", {}), _bits)
    _each("details.probes", details.get("probes", {}), _probe)
    if effect is None:
        return
    _object("details.effect", details.get("effect"), PARTS)
    for part in PARTS:
        how, field = details["effect"][part], f"details.effect.{part}"
        _each(field, how, _how)
        _same_names(field, how, f"effect.{part}", effect[part])
        for name, value in effect[part].items():
            if part != "nodes":
                _choice(f"{field}.{name}.measure", how[name]["measure"], ("output",))
            if how[name]["measure"] == "output":
                _share(f"effect.{part}.{name}", value)


def _check_evidence(evidence: Any, shares: tuple[str, ...]) -> None:
    _object("evidence", evidence, _EVIDENCE)
    _count("evidence.pairs", evidence["pairs"])
    _flag("evidence.exhaustive", evidence["exhaustive"])
    _object("evidence.required", evidence["required"], ("scored", "changed_pairs"))
    _each("evidence.required", evidence["required"], _count)
    _each("evidence.scored", evidence["scored"], _count)
    _each("evidence.exchanges", evidence["exchanges"], _interchange)
    spared = evidence["nothing_measured"]
    if not isinstance(spared, list) or not all(name in shares for name in spared) or len(set(spared)) < len(spared):
        raise wrong("evidence.nothing_measured", spared, f"a list of some of {', '.join(shares)}")


def _interchange(field: str, value: Any) -> None:
    _object(field, value, (*_COUNTS, "undefined_share"))
    for name in _COUNTS:
        _count(f"{field}.{name}", value[name])
    _share(f"{field}.undefined_share", value["undefined_share"])


def _how(field: str, value: Any) -> None:
    _object(field, value, ("by", "measure", "positions"))
    _choice(f"{field}.by", value["by"], ("exchange", "zero"))
    _choice(f"{field}.measure", value["measure"], ("output", "logits"))
    _count(f"{field}.positions", value["positions"])


def _probe(field: str, value: Any) -> None:
    _object(field, value, ("accuracy", "circuit_alone", "scored"))
    _share(f"{field}.accuracy", value["accuracy"])
    _share(f"{field}.circuit_alone", value["circuit_alone"])
    _count(f"{field}.scored", value["scored"])


def _kinds(field: str, value: Any) -> None:
    """Checks the shares of components under each kind of replacement."""
    _mapping(field, value)
    for kind, shares in value.items():
        _choice(f"{field}.{kind}", kind, KINDS)
        _each(f"{field}.{kind}", shares, _share)


def _each(field: str, values: Any, check: Check) -> None:
    """Checks each value of an object."""
    _mapping(field, values)
    for name, value in values.items():
        check(f"{field}.{name}", value)


def _mapping(field: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise wrong(field, value, "an object")


def _object(field: str, value: Any, names: tuple[str, ...], accepted: str = "") -> None:
    """Checks that a value is an object of just these names."""
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise wrong(field, value, accepted or f"an object of {', '.join(names)}")


def _same_names(field: str, names: Iterable[str], other: str, others: Iterable[str]) -> None:
    if odd := sorted(set(names) ^ set(others)):
        raise wrong(field, f"other names than in {other}: {shortened(odd)}", "the same")


def _flag(field: str, value: Any) -> None:
    if type(value) is not bool:
        raise wrong(field, value, "true or false")


def _choice(field: str, value: Any, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise wrong(field, value, " or ".join(map(repr, accepted)))


def _bits(field: str, value: Any) -> None:
    if not isinstance(value, str) or set(value) - {"0", "1"}:
        raise wrong(field, value, "a string of 0 and 1")


def _share(field: str, value: Any, also: str = "") -> None:
    if not _is_number(value) or not 0 <= value <= 1:
        raise wrong(field, value, f"a number from 0 to 1{also}")


def _amount(field: str, value: Any) -> None:
    if not _is_number(value) or value < 0:
        raise wrong(field, value, "a finite number from 0 up")


def _count(field: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise wrong(field, value, f"a whole number from 0 to {_LARGEST}")


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return -_LARGEST <= value <= _LARGEST
    return type(value) is float and math.isfinite(value)


def wrong(field: str, found: object, accepted: str) -> ValueError:
    """Makes the error for one field; a found value that is long is shortened."""
    return ValueError(f"certificate: {field}: found {shortened(found)}, accepted is {accepted}")
