"""Forgeries: whole bundles that say something false are refused, and honest ones are not."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts.damages import DAMAGES, damaged
from scripts.forgeries import FORGERIES, shared_with_another_head, with_alignment
from siit.bundle import Bundle, BundleError, read_bundle
from siit.certificate import Answers, Certificate, measure
from siit.graph import Circuit
from siit.graph.architecture import ModelConfig
from siit.verification import verify
from tests.builders import handmade

MODEL = Path(__file__).parents[1] / "data/frac_prevs/seed-0"
AT_ONCE = (
    "off_circuit_edges_declared_to_be_on_it",
    "one_null_edge_between_two_units",
    "an_off_circuit_edge_under_a_true_edges_name",
    "an_edge_of_the_circuit_left_out",
    "two_edges_names_exchanged",
    "an_idle_head_with_null_edges",
    "two_units_exchanged",
    "an_edge_said_to_be_inert",
    "an_exclusion_of_what_does_not_exist",
    "a_role_that_lies",
    "variables_that_lie",
    "the_causal_model_of_another_program",
    "no_causal_model",
    "tokens_exchanged_in_the_vocabulary",
    "a_program_that_agrees_on_short_inputs",
)
"""Those that are refused before anything is measured."""
EVERY_TIME = (
    "random_weights_with_their_own_answers",
    "an_edge_left_out_that_carries_a_half",
    "shares_a_little_too_high",
)
"""Those of the rest that every commit is held against: false weights, false labels, false numbers."""


@cache
def honest() -> Bundle:
    return read_bundle(MODEL)


@pytest.fixture(autouse=True)
def measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forger and a verifier measure the same, to the digit; here that is done once."""
    known: dict[str, Certificate] = {}

    def remembered(
        config: ModelConfig,
        parameters: Mapping[str, torch.Tensor],
        circuit: Circuit,
        evidence: Mapping[str, torch.Tensor],
        answers: Answers,
        **needed: Any,
    ) -> Certificate:
        tensors = [
            (name, tensor.numpy().tobytes()) for given in (parameters, evidence) for name, tensor in given.items()
        ]
        told = repr((config, circuit.to_json(), answers, sorted({"exhaustive": False, **needed}.items()), tensors))
        key = hashlib.sha256(told.encode()).hexdigest()
        if key not in known:
            known[key] = measure(config, parameters, circuit, evidence, answers, **needed)
        return known[key]

    monkeypatch.setattr("scripts.forgeries.measure", remembered)
    monkeypatch.setattr(sys.modules[verify.__module__], "measure", remembered)


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_forgery_that_is_seen_at_once(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scripts.forgeries.recertified", lambda bundle: bundle)
    found = verify(FORGERIES[name](honest()), seed=0)
    assert not found.certified and found.stored is None and found.fresh is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.ci if name in EVERY_TIME else ())
        for name in FORGERIES
        if name not in AT_ONCE
    ],
)
def test_a_forgery(name: str):
    found = verify(FORGERIES[name](honest()), seed=0)
    assert not found.certified and found.stored is not None


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.ci), 1])
def test_an_honest_model(seed: int):
    found = verify(honest(), seed=seed)
    assert found.findings == () and found.certified and found.provenance == "frac_prevs of the catalogue"
    assert found.fresh is not None and found.fresh.evidence["scored"]["accuracy"] >= 4096
    assert not found.fresh.evidence["exhaustive"], "pairs that are drawn are not all there are"


@pytest.mark.slow
def test_two_heads_that_share_the_work_are_honest():
    """So that the forgery which leaves one of their edges out is refused for that edge."""
    made, alignment = shared_with_another_head(honest(), 0.5)
    assert verify(with_alignment(made, alignment), seed=0).findings == ()


@pytest.mark.slow
def test_an_honest_model_of_an_own_program():
    found = verify(handmade.bundle(), seed=0)
    assert found.findings == () and found.provenance == "an own program"
    assert found.stored == handmade.certificate() and found.fresh is not None and found.fresh.certified


def test_the_seed_is_drawn_and_told():
    seeds = {verify(handmade.bundle(causal_model={"format": "x"})).seed for _ in range(4)}
    assert len(seeds) > 1


@pytest.mark.slow
def test_exhaustive_evidence_that_lacks_a_pair():
    fewer = {name: tensor[:-1] for name, tensor in handmade.evidence().items()}
    found = [str(finding) for finding in verify(handmade.bundle(evidence=fewer), seed=0).findings]
    assert "evidence: exhaustive: found 255 pairs, 255 of them different, accepted are all 256, once" in found


def test_weights_that_cannot_be_measured():
    weights = handmade.parameters()
    weights["unembed.W_U"][0, 0] = torch.nan
    (finding,) = verify(handmade.bundle(parameters=weights), seed=0).findings
    assert finding.check == "evidence" and "unembed.W_U: found 1 values that are NaN or infinite" in finding.message


# Those that leave the model as it was are verified to the end.
_WHOLE = pytest.mark.slow
_SEEDS = [pytest.param(seed, marks=_WHOLE if seed in (6, 10, 31) else ()) for seed in range(60)]


@pytest.mark.parametrize("seed", _SEEDS)
def test_damages_are_refused_or_harmless(seed: int, tmp_path: Path):
    """The first sixty; scripts/attack.py draws them by the hundred, from a larger model."""
    folder = tmp_path / "previous_is_x" / "seed-0"
    pristine = handmade.put(tmp_path / "pristine")
    folder.parent.mkdir()
    how = damaged(pristine, folder, seed)
    try:
        bundle = read_bundle(folder)
    except BundleError as error:
        text = str(error)
        assert "\n" not in text and len(text) <= 2000, how
        return
    assert isinstance(verify(bundle, seed=0).findings, tuple), how


def test_every_damage_is_drawn():
    assert len(set(DAMAGES)) >= 9
