"""Portraits of a certified model, and what is compared between portraits."""

from __future__ import annotations

import functools
import json
import re

import pytest
import torch

from siit.discovery import DiscoveryTask
from siit.evaluation.dataclass_json import from_plain, to_plain
from siit.graph.architecture import EMBEDDINGS
from siit.realism import Portrait, average_precision, by_carried, by_layer, portrait, spearman
from siit.realism.ablation import right_whole, right_without
from siit.realism.activations import node_outputs
from tests.builders.discovery import certified, certified_task


@functools.cache
def task() -> DiscoveryTask:
    return certified_task(48)


@functools.cache
def drawn() -> Portrait:
    return portrait(task(), certified().causal_model, certified().answers)


def test_what_is_off_the_circuit_can_go():
    model = certified()
    without = right_without(task(), model.answers)
    whole = right_whole(task(), model.answers)
    assert whole == 1.0
    assert {node: without[node] for node in model.circuit.off_nodes} == dict.fromkeys(model.circuit.off_nodes, whole)
    assert all(without[node] < 0.9 for node in model.circuit.unit_of)


@pytest.mark.parametrize("node", ["m0", "a1.h2", "tok_embed"])
def test_mean_ablation_is_the_runs_own(node: str):
    """The executor replaces the node by a mask, as discovery methods do."""
    answers = certified().answers
    mask = torch.tensor([float(name == node) for name in task().nodes])
    right = [
        answers.right(batch.run(nodes=mask, by="mean"), batch.readout.target).sum().item() for batch in task().batches()
    ]
    expected = sum(right) / int(task().scored.sum())
    assert right_without(task(), answers)[node] == pytest.approx(expected)


def test_outputs_are_those_of_the_scored_places():
    found = node_outputs(task())
    senders = torch.stack(task().model.run(task().clean).senders)
    torch.testing.assert_close(found, senders[:, task().scored].detach(), atol=1e-6, rtol=0)


def test_a_portrait_is_plain_data():
    found = drawn()
    assert from_plain(Portrait, json.loads(json.dumps(to_plain(found)))) == found
    assert 1 <= found.writers <= len(task().nodes) - len(EMBEDDINGS) and 1 <= found.edges <= len(task().edges)
    assert "is_x & frac_prevs" in found.variable_overlap


def test_labels_find_themselves():
    circuit = certified().circuit
    labels = {name: float(any(name == str(edge) for edge in circuit.carries)) for name in task().edges}
    visible = {"tokens->is_x", "is_x->frac_prevs<v>"}
    precision, random = average_precision(labels, circuit, visible)
    equal, same = average_precision(dict.fromkeys(labels, 0.0), circuit, visible)
    assert (precision, random) == (1.0, same) and equal == pytest.approx(random)
    missed = labels | {str(edge): -1.0 for edge, name in circuit.carries.items() if name == "tokens->is_x"}
    assert average_precision(missed, circuit, visible)[0] < 1.0


def test_edges_of_other_models_correspond():
    circuit = certified().circuit
    scores = {name: float(place) for place, name in enumerate(task().edges)}
    carried = by_carried(scores, circuit)
    assert carried.keys() == circuit.edges_by_carried.keys()
    assert carried["tokens->is_x"] == scores[str(circuit.edges_by_carried["tokens->is_x"][0])]
    layers = by_layer(scores, circuit)
    assert layers["a0->a1<k>"] == max(
        value for name, value in scores.items() if re.fullmatch(r"a0\.h\d->a1\.h\d<k>", name)
    )
    assert layers["m0->logits"] == scores["m0->logits"] and max(layers.values()) == max(scores.values())


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ([1.0, 2.0, 3.0], [10.0, 30.0, 20.0], 0.5),
        ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], -1.0),
        ([1.0, 2.0, 2.0, 4.0], [5.0, 6.0, 7.0, 8.0], 0.9486832980505138),
        ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], None),
        ([1.0, 2.0], [1.0, 2.0], None),
    ],
)
def test_rank_correlation(one: list[float], other: list[float], found: float | None):
    """Of the third, ranks are 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5)."""
    assert spearman(one, other) == (None if found is None else pytest.approx(found))


def test_pictures():
    pytest.importorskip("matplotlib")
    from siit.realism.pictures import edges_picture, nodes_picture

    for picture in (nodes_picture, edges_picture):
        assert picture({"frac_prevs": {"SIIT": drawn()}}).startswith(b"\x89PNG")
