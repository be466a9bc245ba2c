"""What becomes a certified bundle: a model of which the bars hold and no member of the circuit is idle."""

from __future__ import annotations

import pytest

from scripts.forgeries import FORGERIES
from siit.bundle import Bundle, read_bundle
from siit.certificate import Certificate
from siit.training.bundling import measured_bundle
from siit.training.configuration.settings import read_settings
from siit.training.fit.plan import find_task
from tests.builders.runs import compose_small
from tests.verification.test_forgeries import MODEL


def bundled(made: Bundle) -> Certificate:
    """Bundles the weights, labels and evidence of a bundle anew."""
    task = find_task(read_settings(compose_small()).case)
    again, certificate = measured_bundle(
        task,
        made.circuit,
        made.parameters,
        made.evidence,
        case=made.case,
        seed=made.seed,
        train_yaml=made.train_yaml,
        classes=task.model.classes,
    )
    assert again.certificate == certificate.to_json()
    return certificate


def test_a_model_with_an_idle_member_is_not_certified_though_the_bars_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bars do hold, see `tests/verification/test_forgeries.py`, and are not measured again here."""
    honest = read_bundle(MODEL)
    held = Certificate.from_json(honest.certificate)
    monkeypatch.setattr("siit.training.bundling.measure", lambda *arguments, **named: held)
    monkeypatch.setattr("scripts.forgeries.recertified", lambda bundle: bundle)
    assert held.certified and bundled(honest).certified
    refused = bundled(FORGERIES["an_idle_head_with_honest_edges"](honest))
    assert not refused.certified
    assert refused.failed and all("a1.h1" in line for line in refused.failed)
