"""What makes runs of seconds: few test pairs, for models that are not expected to be certified."""

from __future__ import annotations

import functools

import pytest

from siit.interchange import build_evidence


@pytest.fixture
def few_test_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate of an untrained model is not worth thousands of pairs."""
    few = functools.partial(build_evidence, pairs=32, min_scored=1, min_changed=1)
    monkeypatch.setattr("siit.training.fit.pipeline.build_evidence", few)
