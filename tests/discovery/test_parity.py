"""The numbers of public implementations on three models, recorded once (docs/notes/discovery.md says how)."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from siit.discovery import DiscoveryTask, Method
from siit.discovery.methods import Acdc, AttributionPatching, InputGradients
from siit.evaluation.faithfulness import faithfulness
from tests.builders.discovery import DATA
from tests.builders.parity import CIRCUITS, SHIPPED, TASKS, weights_digest, with_pairs


@functools.cache
def record(name: str) -> dict[str, Any]:
    return json.loads((DATA / "discovery" / f"{name}.json").read_text())


def task(name: str) -> DiscoveryTask:
    """Makes the task of the record, whose pairs are those that were recorded."""
    return with_pairs((TASKS | SHIPPED)[name](), record(name))


def merged(name: str) -> str | None:
    """Names an edge as those who have one input do; None for edges from positions, which are not corrupted."""
    return None if name.startswith("pos_embed") else name.replace("tok_embed", "input")


def ranks(values: Tensor) -> Tensor:
    """Ranks values; equal ones share the mean of their ranks."""
    return (values.unsqueeze(1) > values).sum(1) + ((values.unsqueeze(1) == values).sum(1) - 1) / 2


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("method", ["eap", "eap_ig_inputs"])
def test_attribution_is_that_of_the_eap_ig_package(name: str, method: str):
    ours_of: dict[str, Method] = {
        "eap": AttributionPatching(),
        "eap_ig_inputs": InputGradients(steps=record(name)["steps"]),
    }
    recorded = record(name)["scores"][method]
    found = {merged(edge): score for edge, score in ours_of[method](task(name)).items() if merged(edge)}
    assert found.keys() == recorded.keys()
    ours, theirs = torch.tensor([[found[edge], recorded[edge]] for edge in recorded], dtype=torch.float64).T
    assert float((ours - theirs).abs().max()) < 1e-6 < 1e-3 * float(theirs.max())
    # What differs by less than rounding is of one rank.
    places = torch.stack([ranks((each / theirs.max()).round(decimals=5)) for each in (ours, theirs)])
    assert float(torch.corrcoef(places)[0, 1]) > 0.999


@pytest.mark.parametrize("name", TASKS)
def test_acdc_is_auto_circuits(name: str):
    made, thresholds = task(name), record(name)["thresholds"]
    scored = torch.ones_like(made.scored)
    scored[:, 0] = False  # it measures at all positions but the first
    of, everywhere = dataclasses.replace(made, scored=scored), torch.ones(1)
    for threshold, row in zip(thresholds, Acdc().kept(of, thresholds), strict=True):
        # What is recorded of an edge is the least threshold at which it is left out.
        everywhere = everywhere * row
        ours = {merged(edge) for edge, is_kept in zip(of.edges, everywhere.tolist(), strict=True) if is_kept}
        recorded = record(name)["scores"]["acdc"].items()
        assert ours == {edge for edge, least in recorded if least is None or least > threshold * 1.000001}
        assert ours or threshold > 0.01
    # Of a model of which most edges matter there is less to share.
    one_by_one = len(of.edges) * len(thresholds) * len(of)
    assert of.passes.forward < one_by_one / (1 if name == "random_weights" else 10)


@pytest.mark.parametrize("name", CIRCUITS)
def test_a_circuit_alone_answers_as_in_the_eap_ig_package(name: str):
    """Its `evaluate_graph` read the graph file of the circuit; both embeddings are one sender there."""
    made, recorded, (circuit, tolerance) = task(name), record(name)["circuit"], CIRCUITS[name]()
    if name in SHIPPED:
        now = weights_digest(made.model)
        assert now == recorded["weights"], f"{name}: another model is shipped now: record it anew, or drop its record"
    exported = {edge for edge, of in circuit.to_graph_json()["edges"].items() if of["in_graph"]}
    assert exported == {*recorded["edges"]}
    kept = {edge: float(re.sub("^(tok|pos)_embed", "input", edge) in exported) for edge in made.edges}
    batch = made.batch(torch.arange(len(made)))
    replaced = 1 - torch.tensor(list(kept.values()))
    ours, theirs = batch.run(edges=replaced), torch.tensor(recorded["logits"])
    torch.testing.assert_close(ours, theirs, atol=2e-6 * float(theirs.abs().max()), rtol=0)
    assert float((batch.run(edges=torch.ones(len(kept))) - theirs).abs().max()) > 0.1
    found = faithfulness(made, kept, "edge", int(sum(kept.values())), tolerance)
    assert found is not None and found.at_size.accuracy == pytest.approx(recorded["accuracy"], abs=1e-6)
    assert name == "random_weights" or (recorded["accuracy"] == 1 and not recorded["pruned"])
