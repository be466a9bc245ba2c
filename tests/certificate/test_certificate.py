"""The certificate as JSON: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from siit.certificate import BARS, Certificate
from siit.certificate.certificate import SHARES
from siit.certificate.report import disagreements, evidence_line, rows
from tests.builders.handmade import CONFIG, TOKEN, certify, first_kind, parameters

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certify()


@pytest.mark.parametrize("threshold", [0.5, -0.1])
@pytest.mark.parametrize("staged", [False, True])
def test_round_trip(threshold: float, staged: bool):
    weights = parameters()
    weights["unembed.b_U"][0] = threshold
    certificate = certify(weights, staged=staged)
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
        (
            put("format", "siit-certificate/3"),
            "format: found 'siit-certificate/3', accepted is 'siit-certificate/2'",
        ),
        (put("format", "siit-certificate/1"), "strict_adversarial: found 'a field of this name'"),
        (drop("format"), "format: found None"),
        (drop("strict_edge"), "strict_edge: found 'nothing', accepted is a value"),
        (put("speed", 1.0), "speed: found 'a field of this name', accepted is certified, accuracy"),
        (put("certified", 1), "certified: found 1, accepted is true or false"),
        (put("accuracy", 1.5), "accuracy: found 1.5, accepted is a number from 0 to 1"),
        (put("accuracy", True), "accuracy: found True, accepted is a number from 0 to 1"),
        (put("accuracy", float("nan")), "accuracy: found nan"),
        (put("joint_zero", "1.0"), "joint_zero: found '1.0'"),
        (put("joint_zero", None), r"evidence.scored: found \"other fields than those measured: \['joint_zero'\]\""),
        (put("failed", ["accuracy: low"]), "certified: found True, accepted is false, for accuracy: low"),
        (put("failed", "accuracy"), "failed: found 'accuracy', accepted is a list of strings"),
        (put("effect", {"units": {}}), "effect: found {'units': {}}, accepted is an object of units, edges, nodes"),
        (put("effect", {"units": {"a": -1}, "edges": {}, "nodes": {}}), "effect.units.a: found -1"),
        (put("effect", {"units": [], "edges": {}, "nodes": {}}), r"effect.units: found \[\], accepted is an object"),
        (put("bars", {"accuracy": 0.9}), "bars: found {'accuracy': 0.9}, accepted is an object of accuracy, iia"),
        (put("bars", {**BARS, "accuracy": "high"}), "bars.accuracy: found 'high', accepted is a finite number"),
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


def test_the_first_kind(certificate: Certificate):
    """What earlier versions wrote is read, written again as it was, and says what it is."""
    data = first_kind(certificate)
    read = Certificate.from_json(data)
    assert read.to_json() == data and read.certified
    assert read.verdict == "certified, of the first kind (edges between members only, subsets resampled)"
    assert read.strict_adversarial is None and not read.measures_every_edge
    assert certificate.verdict == "certified" and certificate.measures_every_edge
    assert [row[0] for row in rows(read)][:9] == list(read.shares) and "strict_adversarial" not in read.shares
    with pytest.raises(ValueError, match=r"certificate: details: found|details.by_kind: found"):
        Certificate.from_json({**data, "details": {**data["details"], "by_kind": {}}})
    with pytest.raises(ValueError, match="certificate: certified: found True, accepted is false"):
        Certificate.from_json({**data, "accuracy": 0.5})


def test_the_first_kind_is_held_against_what_both_kinds_measure(certificate: Certificate):
    measured, stored = certificate.to_json(), first_kind(certificate)
    assert disagreements(measured, stored) == []
    stored["strict_edge"] = 0.9991  # on other pairs, and under one kind of replacement: nothing to compare
    assert disagreements(measured, stored) == []
    stored["joint_zero"] = 0.9991
    assert disagreements(measured, stored) == ["joint_zero: measured 1, stored 0.9991"]


def test_the_adversary_may_find_other_subsets_on_another_machine(certificate: Certificate):
    measured, stored = certificate.to_json(), certificate.to_json()
    stored["strict_adversarial"] = 0.998
    assert disagreements(measured, stored) == []
    stored["strict_adversarial"] = 0.997
    assert disagreements(measured, stored) == ["strict_adversarial: measured 1, stored 0.997"]


def test_large_numbers_agree_relatively():
    assert disagreements({"change": 2000.0}, {"change": 2000.4}) == []
    assert disagreements({"change": 2000.0}, {"change": 2003.0}) == ["change: measured 2000, stored 2003"]
    assert disagreements({"pairs": 5000}, {"pairs": 5001}) == ["pairs: measured 5000, stored 5001"], "counts are exact"
    assert disagreements({"change": True}, {"change": 1}) == ["change: measured True, stored 1"]


def test_evidence_in_words(certificate: Certificate):
    words = evidence_line(certificate, CONFIG.n_ctx)
    assert words.startswith("256 pairs; every number rests on at least ") and words.endswith(
        "; said to be all there are"
    )
    unscored = 256 * CONFIG.n_ctx - certificate.evidence["scored"]["accuracy"]
    assert f"; {unscored} of {256 * CONFIG.n_ctx} positions of the bases are not scored (BOS, padding," in words


def forged(certificate: Certificate, **changes: object) -> dict[str, Any]:
    """The certificate as data, with values at dotted places (`__` for the point) replaced."""
    data: dict[str, Any] = json.loads(json.dumps(certificate.to_json()))
    for place, value in changes.items():
        *path, last = place.split("__")
        inside = data
        for name in path:
            inside = inside[name]
        inside[last] = value
    return data


@pytest.fixture(scope="module")
def failing() -> Certificate:
    weights = parameters()
    weights["blocks.1.attn.W_V"][0, TOKEN + 1, 0] = 0.8
    return certify(weights)


@pytest.mark.parametrize(
    "changes",
    [
        {"accuracy": 0.5},
        {"joint_mean": 0.0},
        *({field: 0.0} for field in SHARES),
        dict.fromkeys(SHARES, 0.0),
        {"strict_edge": 0.5, "details__strict_edge": {"tok_embed->m1": 0.5}},
        {"iia": 0.99, "details__iia": {"is_x": 0.99, "prev": 1.0}},
        {"bars__accuracy": 0.5},
        {"bars__accuracy": 0.5, "accuracy": 0.6},
        {"bars": dict.fromkeys(BARS, 0.0)},
        {"effect__units__prev": 0.0},
        {"effect__edges": {}},
        {"effect": None},
        {"effect__nodes__m0": 1.5},
        {"details__effect__units__prev__measure": "logits"},
        {"evidence__exhaustive": False},
        {"evidence__exhaustive": False, "evidence__required": {"scored": 100, "changed_pairs": 100}},
        {"evidence__exhaustive": False, "evidence__required": {"scored": 4096, "changed_pairs": 200}},
        {"details__by_kind__strict_edge__zero__m0->m1": 0.5},
        {"details__by_kind__strict_edge__zero": {}},
        {"details__by_kind__strict_subsets": {}},
        {"details__by_kind": {}},
        {"details__strict_adversarial": {"zero": 1.0}},
        {"evidence__nothing_measured": ["strict_edge"]},
        {"evidence__scored": {}},
        {"evidence__exchanges": {}},
        {"details__iia": {}},
        {"failed": ["accuracy: low"]},
    ],
)
def test_a_verdict_that_does_not_follow_from_the_numbers(certificate: Certificate, changes: dict[str, object]):
    assert certificate.certified
    with pytest.raises(ValueError, match=r"^certificate: "):
        Certificate.from_json(forged(certificate, **changes))


def test_a_failure_that_is_called_certified(failing: Certificate):
    assert not failing.certified
    with pytest.raises(ValueError, match=r"certified: found True, accepted is false, for iia: 0\.75000 is 0\.24900"):
        Certificate.from_json(forged(failing, certified=True, failed=[]))
    with pytest.raises(ValueError, match=r"certified: found False, accepted is true"):
        Certificate.from_json(forged(certify(), certified=False))


@pytest.mark.parametrize("screened", [True, False])
def test_what_is_measured_is_never_a_contradiction(failing: Certificate, screened: bool):
    """Whatever the model: here one with random weights."""
    generator = torch.Generator().manual_seed(int(screened))
    weights = {name: torch.randn(tensor.shape, generator=generator) for name, tensor in parameters().items()}
    for found in (failing, certify(weights, staged=screened)):
        assert Certificate.from_json(json.loads(json.dumps(found.to_json()))) == found
