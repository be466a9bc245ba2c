"""Reading the labels (`circuit.json`, `graph.json`), and what was measured of them (`certificate.json`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from siit._text import shortened
from siit.bundle import _json
from siit.bundle._errors import BundleError, wrong
from siit.bundle._names import CERTIFICATE_FILE, CIRCUIT_FILE, EVIDENCE_FILE, GRAPH_FILE
from siit.certificate import Certificate
from siit.graph.architecture import ModelConfig, count_edges
from siit.graph.circuit import Circuit

_CIRCUIT_TEXTS = {"nodes": ("name", "unit", "role", "program"), "edges": ("sender", "receiver", "slot", "carries")}
_LEFT_OUT = ("excluded", "idle")
"""What is not on the circuit, with the reason; earlier versions wrote none that is idle."""
_VARIABLE = ("kind", "parents", "description")


def read_circuit(files: Mapping[str, bytes], config: ModelConfig) -> Circuit:
    """Reads `circuit.json`, and checks that `graph.json` says the same.

    Args:
        files: by name.
        config: the architecture.

    Raises:
        BundleError: names the file and the field that is wrong.
    """
    data = _json.parse(files[CIRCUIT_FILE], CIRCUIT_FILE)
    for key, fields in _CIRCUIT_TEXTS.items():
        for index, item in enumerate(_objects(data.get(key), key)):
            for name in fields:
                if not isinstance(item.get(name), str | None):
                    raise wrong(CIRCUIT_FILE, f"{key}[{index}].{name}", item[name], "text or null")
    _check_variables(data.get("variables"))
    for field in _LEFT_OUT:
        for name, reason in _object(data.get(field, {}), field).items():
            if not isinstance(reason, str):
                raise wrong(CIRCUIT_FILE, f"{field}.{name}", reason, "the reason, a text")
    try:
        circuit = Circuit.from_json(data, config)
        again = circuit.to_json()
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise BundleError(f"{CIRCUIT_FILE}: {str(error).removeprefix('circuit: ')}") from error
    for key in sorted({*again, *data}):
        if not _same(again.get(key), data.get(key, {} if key in _LEFT_OUT else None)):
            raise wrong(CIRCUIT_FILE, key, data.get(key), "what follows from the alignment and the architecture")
    graph, count = _json.parse(files[GRAPH_FILE], GRAPH_FILE), count_edges(config)
    listed = graph.get("edges")
    # Before all of them are made, which takes a while where there are many.
    if not isinstance(listed, dict) or len(listed) != count:
        raise wrong(GRAPH_FILE, "edges", listed, f"an object of the {count} edges of the architecture")
    if not _identical(graph, circuit.to_graph_json()):
        raise wrong(GRAPH_FILE, "content", "another circuit", f"the circuit of {CIRCUIT_FILE}")
    return circuit


def _objects(items: object, key: str) -> list[dict[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise wrong(CIRCUIT_FILE, key, items, "a list of objects")
    return items


def _object(value: object, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(CIRCUIT_FILE, field, value, "an object")
    return value


def _check_variables(variables: object) -> None:
    for name, variable in _object(variables, "variables").items():
        field = f"variables.{name}"
        if set(_object(variable, field)) != set(_VARIABLE):
            raise wrong(CIRCUIT_FILE, field, variable, f"an object of {', '.join(_VARIABLE)}")
        if variable["kind"] not in ("categorical", "numerical"):
            raise wrong(CIRCUIT_FILE, f"{field}.kind", variable["kind"], "'categorical' or 'numerical'")
        if not isinstance(variable["description"], str):
            raise wrong(CIRCUIT_FILE, f"{field}.description", variable["description"], "a text")
        for slot, parents in _object(variable["parents"], f"{field}.parents").items():
            if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
                raise wrong(CIRCUIT_FILE, f"{field}.parents.{slot}", parents, "a list of names")


def _identical(left: Any, right: Any) -> bool:
    """Equal, and of the same types throughout: 1, 1.0 and true are three values."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_identical(value, right[key]) for key, value in left.items())
    return bool(left == right)


def _same(left: Any, right: Any) -> bool:
    """Equal, the order of lists of objects aside."""
    if isinstance(left, list) and isinstance(right, list):
        return sorted(map(repr, map(_ordered, left))) == sorted(map(repr, map(_ordered, right)))
    return bool(left == right)


def _ordered(item: Any) -> Any:
    return sorted(item.items()) if isinstance(item, dict) else item


def check_certificate(data: dict[str, Any], circuit: Circuit) -> None:
    """Checks the certificate, and that it is one of this circuit: each part of it is named where it was measured.

    Args:
        data: the content of `certificate.json`.
        circuit: the labels.

    Raises:
        BundleError: names the field that is wrong.
    """
    try:
        certificate = Certificate.from_json(data)
    except ValueError as error:
        raise BundleError(f"{CERTIFICATE_FILE}: {str(error).removeprefix('certificate: ')}") from error
    parts: dict[str, Iterable[object]] = {
        "iia": circuit.alignment,
        "edge_iia": circuit.edges_by_carried,
        "strict_node": circuit.off_nodes,
        "strict_edge": circuit.off_edges_of_members if certificate.first_kind else circuit.off_edges,
    }
    named = {f"details.{field}": (certificate.details.get(field), names) for field, names in parts.items()}
    if certificate.effect is not None:
        named |= {
            "effect.units": (certificate.effect.units, circuit.alignment),
            "effect.edges": (certificate.effect.edges, circuit.edges_by_carried),
            "effect.nodes": (certificate.effect.nodes, circuit.unit_of),
        }
    for field, (found, names) in named.items():
        # What was not measured has no entry, and neither has what is called by the name of a whole.
        if found is not None and (odd := sorted(set(found) ^ set(map(str, names)))):
            raise wrong(CERTIFICATE_FILE, field, f"other names than in {CIRCUIT_FILE}: {shortened(odd)}", "the same")


def check_counts(counts: Mapping[str, Any], pairs: int, exhaustive: bool) -> None:
    """Checks what the certificate says of the evidence that lies beside it.

    Args:
        counts: the certificate's `evidence`.
        pairs: how many there are.
        exhaustive: whether they are said to be all.

    Raises:
        BundleError: names the field that is wrong.
    """
    for field, accepted in (("pairs", pairs), ("exhaustive", exhaustive)):
        if counts[field] != accepted:
            raise wrong(CERTIFICATE_FILE, f"evidence.{field}", counts[field], f"{accepted}, as in {EVIDENCE_FILE}")
