"""The certificate as JSON: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from siit.certificate import Certificate
from siit.certificate.report import disagreements, evidence_line
from tests.builders.handmade import certify, parameters

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certify()


@pytest.mark.parametrize("threshold", [0.5, -0.1])
@pytest.mark.parametrize("screen", [None, 0.9])
def test_round_trip(threshold: float, screen: float | None):
    weights = parameters()
    weights["unembed.b_U"][0] = threshold
    certificate = certify(weights, screen=screen)
    data = certificate.to_json()
    assert Certificate.from_json(json.loads(json.dumps(data, allow_nan=False))) == certificate
    assert list(data)[:3] == ["format", "certified", "accuracy"]
    assert disagreements(data, json.loads(json.dumps(data))) == []


def drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.pop(name)


def put(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update({name: value})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (put("format", "siit-certificate/2"), "format: found 'siit-certificate/2', accepted is 'siit-certificate/1'"),
        (drop("format"), "format: found None"),
        (drop("strict_edge"), "strict_edge: found 'nothing', accepted is a value"),
        (put("speed", 1.0), "speed: found 'a field of this name', accepted is certified, accuracy"),
        (put("certified", 1), "certified: found 1, accepted is true or false"),
        (put("accuracy", 1.5), "accuracy: found 1.5, accepted is a number from 0 to 1"),
        (put("accuracy", True), "accuracy: found True, accepted is a number from 0 to 1"),
        (put("accuracy", float("nan")), "accuracy: found nan"),
        (put("joint_zero", "1.0"), "joint_zero: found '1.0'"),
        (put("joint_zero", None), "certified: found True, accepted is false, for joint_zero"),
        (put("failed", ["accuracy: low"]), "certified: found True, accepted is false, for accuracy: low"),
        (put("failed", "accuracy"), "failed: found 'accuracy', accepted is a list of strings"),
        (put("effect", {"units": {}}), "effect: found {'units': {}}, accepted is an object of units, edges, nodes"),
        (put("effect", {"units": {"a": -1}, "edges": {}, "nodes": {}}), "effect.units.a: found -1"),
        (put("effect", {"units": [], "edges": {}, "nodes": {}}), r"effect.units: found \[\], accepted is an object"),
        (put("bars", {"accuracy": "high"}), "bars.accuracy: found 'high', accepted is a finite number"),
        (put("details", []), r"details: found \[\], accepted is an object"),
        (put("details", {"iia": 1}), "details.iia: found 1, accepted is an object"),
        (put("evidence", "x" * 1000), r"evidence: found 'x{56,59}\.\.\.x{56,59}', accepted is an object"),
    ],
)
def test_damage(certificate: Certificate, damage: Callable[[dict[str, Any]], object], message: str):
    data = certificate.to_json()
    damage(data)
    with pytest.raises(ValueError, match=f"^certificate: {message}"):
        Certificate.from_json(data)


def test_disagreements(certificate: Certificate):
    measured, stored = certificate.to_json(), certificate.to_json()
    stored["accuracy"] = 0.9998
    stored["failed"] = ["worded otherwise"]
    assert disagreements(measured, stored) == []
    stored["accuracy"] = 0.99
    stored["certified"] = False
    stored["bars"] = {**stored["bars"], "iia": 0.5}
    stored["details"] = {**stored["details"], "strict_node": {"m7": 1.0}}
    stored["effect"] = None
    lines = disagreements(measured, stored)
    assert lines[:2] == ["certified: measured True, stored False", "accuracy: measured 1, stored 0.99"]
    for line in (
        "effect: only in the stored certificate",
        "effect.units.prev: only in the measured certificate",
        "details.strict_node.m7: only in the stored certificate",
        "bars.iia: measured 0.999, stored 0.5",
    ):
        assert line in lines


def test_large_numbers_agree_relatively():
    assert disagreements({"change": 2000.0}, {"change": 2000.4}) == []
    assert disagreements({"change": 2000.0}, {"change": 2003.0}) == ["change: measured 2000, stored 2003"]
    assert disagreements({"pairs": 5000}, {"pairs": 5001}) == ["pairs: measured 5000, stored 5001"], "counts are exact"
    assert disagreements({"change": True}, {"change": 1}) == ["change: measured True, stored 1"]


def test_evidence_in_words(certificate: Certificate):
    words = evidence_line(certificate)
    assert words.startswith("256 pairs; every number rests on at least ") and words.endswith(
        "; said to be all there are"
    )
