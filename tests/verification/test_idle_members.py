"""Members that matter: by their interchange or by their mean, and no idle one, whatever it writes."""

from __future__ import annotations

import pytest

from scripts.forgeries import FORGERIES
from siit.bundle import Bundle, read_bundle
from siit.certificate.held_out import HeldOutPairs
from siit.certificate.measure import Counts
from siit.certificate.questions import Question
from siit.certificate.tally import Count
from siit.verification.idle_members import FAIR_SHARE, idle_findings
from tests.verification.test_forgeries import MODEL

IDLE = "a1.h1"


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A model whose labels name an idle head beside the true one."""
    monkeypatch.setattr("scripts.forgeries.recertified", lambda bundle: bundle)
    return FORGERIES["an_idle_head_with_honest_edges"](read_bundle(MODEL))


def found_in(bundle: Bundle) -> list[str]:
    return list(idle_findings(bundle.circuit, bundle.parameters, bundle.evidence, bundle.answers))


def test_a_head_that_writes_a_constant_is_idle(wide: Bundle):
    """Replaced by zero it would move the output more than any other part does."""
    parameters = {name: tensor.clone() for name, tensor in wide.parameters.items()}
    parameters["blocks.1.attn.W_V"][1] = 0.0
    parameters["blocks.1.attn.b_V"][1] = 5.0
    found = list(idle_findings(wide.circuit, parameters, wide.evidence, wide.answers))
    assert any(line.startswith(f"node {IDLE}: ") for line in found)


@pytest.mark.parametrize(("pairs", "needed", "measured"), [(1 << 20, 100, 0), (64, 1, 64), (64, 1 << 20, 0)])
def test_the_first_pairs_serve_where_they_show_every_interchange(
    wide: Bundle, monkeypatch: pytest.MonkeyPatch, pairs: int, needed: int, measured: int
):
    """0 stands for all."""
    seen = []

    def counted(model: object, evidence: HeldOutPairs, *further: object) -> Counts:
        seen.append(evidence.pairs)
        raise StopIteration

    monkeypatch.setattr("siit.verification.idle_members.PAIRS", pairs)
    monkeypatch.setattr("siit.verification.idle_members.CHANGED", needed)
    monkeypatch.setattr("siit.verification.idle_members.ask", counted)
    with pytest.raises(RuntimeError):
        found_in(wide)
    assert seen == [measured or len(wide.evidence["base_tokens"])]


@pytest.mark.parametrize(("by_mean", "idle"), [(2 * FAIR_SHARE, False), (FAIR_SHARE / 2, True)])
def test_a_member_that_no_interchange_shows_may_show_by_its_mean(
    wide: Bundle, monkeypatch: pytest.MonkeyPatch, by_mean: float, idle: bool
):
    def counted(model: object, evidence: object, means: object, questions: list[Question], size: int) -> Counts:
        counts: Counts = {}
        for question in questions:
            (quantity,) = question.quantities
            value = 1.0 if IDLE not in quantity.name else by_mean if question.patch.kind == "mean" else 0.0
            counts.setdefault(quantity.field, {})[quantity.name] = Count(value, 1)
        return counts

    monkeypatch.setattr("siit.verification.idle_members.ask", counted)
    assert bool(found_in(wide)) is idle
