"""`siit.score`: what is ranked, under which names, and what is refused."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import siit
from siit.graph.architecture import EMBEDDINGS, Edge, ModelConfig, edges
from siit.graph.circuit import Circuit
from siit.graph.hooks import hook_edge
from siit.scoring import Score
from siit.scoring.ranking import rank
from siit.scoring.structure import edge_probabilities
from tests.builders import handmade

CONFIG = ModelConfig(n_layers=1, n_heads=2, d_model=4, d_head=2, d_mlp=4, n_ctx=4, d_vocab=4, d_vocab_out=2)
CIRCUIT = Circuit(
    CONFIG,
    {"mix": ("a0.h1",), "flag": ("m0",)},
    {
        Edge("pos_embed", "a0.h1", "q"): "indices->mix<q>",
        Edge("tok_embed", "a0.h1", "v"): "tokens->mix<v>",
        Edge("a0.h1", "m0"): "mix->flag",
        Edge("m0", "logits"): "flag->output",
    },
)
"""Of 21 edges 13 are between members: 4 on the circuit and 9 off it. The 8 into and out of a0.h0 have no label."""


def labels() -> dict[Any, float]:
    return {edge: float(edge in CIRCUIT.carries) for edge in edges(CONFIG)}


def test_the_labels_themselves_are_perfect():
    found = siit.score(labels(), CIRCUIT)
    assert (found.roc_auc, found.average_precision) == (1, 1)
    assert (found.positives, found.negatives, found.unlabelled) == (4, 9, 8)
    # Each slot has edges on and off the circuit but k, whose two edges are both off.
    assert set(found.by_slot) == {"q", "v", None}
    assert {slot: (ranking.positives, ranking.negatives) for slot, ranking in found.by_slot.items()} == {
        "q": (1, 1),
        "v": (1, 1),
        None: (2, 5),
    }
    assert siit.score({edge: -value for edge, value in labels().items()}, CIRCUIT).roc_auc == 0


def test_the_structure_null_of_each_slot_ranks_the_same_edges():
    found, chances = siit.score(labels(), CIRCUIT), edge_probabilities(CIRCUIT)
    ranked = {*CIRCUIT.carries, *CIRCUIT.off_edges_of_members}
    assert set(found.structure_by_slot) == set(found.by_slot)
    for slot, ranking in found.structure_by_slot.items():
        own = [edge for edge in ranked if edge.slot == slot]
        by_hand = rank(np.array([edge in CIRCUIT.carries for edge in own]), np.array([chances[edge] for edge in own]))
        assert ranking.roc.thresholds.tolist() == by_hand.roc.thresholds.tolist()
        assert ranking.average_precision == by_hand.average_precision
        assert (ranking.positives, ranking.negatives) == (by_hand.positives, by_hand.negatives)


def test_without_embeddings_by_hand():
    scores = {
        "a0.h0->m0": 4,
        "a0.h1->m0": 3,
        "a0.h0->logits": 2,
        "a0.h1->logits": 1,
        "m0->logits": 0,
    }
    found = siit.score(scores, CIRCUIT, embeddings=False)
    # Ranked are a0.h1->m0, a0.h1->logits and m0->logits: the first and the last are on the circuit.
    assert (found.positives, found.negatives, found.unlabelled) == (2, 1, 2)
    assert found.roc_auc == pytest.approx(1 / 2)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    # Of one layer and two heads: m0->logits is certain, either head may be the one that feeds m0.
    assert found.structure.roc.thresholds.tolist() == [np.inf, 1, 0.5, 0]
    assert found.structure.roc_auc == 1
    assert found.random.roc_auc == 0.5
    assert found.random.average_precision == pytest.approx(sum((1 + (i - 1) / 2) / i for i in range(1, 4)) / 3)


def test_every_edge_where_the_certificate_measures_it():
    """A loaded model says by its certificate which edges have a label; of the first kind: those between members."""
    second = handmade.bundle()
    scores = {edge: float(edge in handmade.CIRCUIT.carries) for edge in edges(handmade.CONFIG)}
    found = siit.score(scores, second)
    assert (found.positives, found.negatives, found.unlabelled, found.roc_auc) == (5, 91, 0, 1)
    first = handmade.bundle(certificate=handmade.first_kind(handmade.certificate()))
    assert same(siit.score(scores, first), siit.score(scores, handmade.CIRCUIT))
    assert siit.score(scores, first).unlabelled == 81
    nothing = {**handmade.parameters(), "unembed.b_U": torch.tensor([9.0, 0.0])}
    screened = handmade.bundle(certificate=handmade.certify(nothing, staged=True).to_json())
    assert siit.score(scores, screened).unlabelled == 81


def test_without_slots_the_best_one_counts():
    scores = dict.fromkeys(edges(CONFIG), 0.0)
    scores[Edge("tok_embed", "a0.h1", "k")] = 1.0
    found = siit.score(scores, CIRCUIT, slots=False)
    # Of 9 pairs of members; the four on the circuit: one is first, the others tie with the rest.
    assert (found.positives, found.negatives) == (4, 5)
    assert found.roc_auc == pytest.approx((5 + 3 * 2.5) / 20)
    assert found.by_slot == {}
    pairs = {str(Edge(edge.sender, edge.receiver)): 0.0 for edge in edges(CONFIG)} | {"tok_embed->a0.h1": 1.0}
    assert siit.score(pairs, CIRCUIT, slots=False).roc_auc == found.roc_auc


def test_scores_of_edges_without_a_label_change_nothing():
    scores, expected = labels(), siit.score(labels(), CIRCUIT)
    for edge in edges(CONFIG):
        if "a0.h0" in (edge.sender, edge.receiver):
            scores[edge] = 99.0
    assert same(siit.score(scores, CIRCUIT), expected)
    between = {edge: value for edge, value in scores.items() if value != 99.0}
    assert len(between) == 13 and same(siit.score(between, CIRCUIT), expected)
    assert siit.score(labels(), CIRCUIT, level="node").unlabelled == 0


def same(one: Score, other: Score) -> bool:
    curves = [(score.roc.false_positive_rate, score.roc.true_positive_rate) for score in (one, other)]
    return all(np.array_equal(left, right) for left, right in zip(*curves, strict=True))


def test_names():
    generator = torch.Generator().manual_seed(0)
    scores = {edge: torch.rand((), generator=generator) for edge in edges(CONFIG)}
    expected = siit.score(scores, CIRCUIT)
    assert same(expected, siit.score({str(edge): value for edge, value in scores.items()}, CIRCUIT))
    assert same(expected, siit.score({hook_edge(edge, CONFIG): value for edge, value in scores.items()}, CIRCUIT))


def test_both_embeddings_as_one_input():
    graph = CIRCUIT.to_graph_json()
    scores = {name: edge["score"] for name, edge in graph["edges"].items()}
    found = siit.score(scores, CIRCUIT)
    assert found.roc_auc == 1
    assert (found.positives, found.negatives) == (4, 4)
    nodes = {name: node["in_graph"] for name, node in graph["nodes"].items()}
    assert siit.score(nodes, CIRCUIT, level="node").roc_auc == 1
    with pytest.raises(ValueError, match=r"found tok_embed->m0, accepted are edges of the model"):
        siit.score({**scores, "tok_embed->m0": 1}, CIRCUIT)


def test_nodes():
    scores = {"a0.h0": 2.0, "a0.h1": 3.0, "m0": 1.0, "logits": 0.0}
    found = siit.score(scores, CIRCUIT, level="node", embeddings=False)
    assert (found.positives, found.negatives) == (2, 1)
    assert found.roc_auc == 0.5
    # m0 is certain, each head as likely as the other.
    assert found.structure.roc_auc == pytest.approx((1 + 0.5) / 2)
    both = siit.score({**scores, "tok_embed": 0, "pos_embed": 5}, CIRCUIT, level="node")
    assert (both.positives, both.negatives) == (4, 1)
    assert both.roc_auc == pytest.approx(2 / 4)


def test_nodes_by_their_best_edge():
    scores = dict.fromkeys(edges(CONFIG), 0.0)
    scores[Edge("tok_embed", "a0.h1", "k")] = 3.0
    scores[Edge("a0.h0", "logits")] = 2.0
    scores[Edge("m0", "logits")] = 1.0
    # With the embeddings: tok_embed and a0.h1 3, a0.h0 2, m0 1, pos_embed 0; without: a0.h0 2, m0 1, a0.h1 0.
    assert siit.score(scores, CIRCUIT, level="node").roc_auc == pytest.approx(2 / 4)
    assert siit.score(scores, CIRCUIT, level="node", embeddings=False).roc_auc == 0
    without = {edge: value for edge, value in scores.items() if edge.sender not in EMBEDDINGS}
    assert siit.score(without, CIRCUIT, level="node", embeddings=False).roc_auc == 0


def change(**values: Any) -> Callable[[dict[Any, Any]], Any]:
    return lambda scores: scores.update(values)


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (lambda s: s.pop(Edge("a0.h1", "logits")), {}, "found none for a0.h1->logits, accepted is a score for each th"),
        (lambda s: s.clear(), {}, r"none for tok_embed->a0.h1<q>, .* and 10 more"),
        (lambda s: s.clear(), {"level": "node"}, "found none for tok_embed->a0.h0<q>"),
        (change(**{"m1->logits": 1.0}), {}, "found m1->logits, accepted are edges of the model"),
        (change(**{"m0->a0.h1<v>": 1.0}), {}, "found m0->a0.h1<v>, accepted are edges"),
        (change(**{"tok_embed->a0.h1": 1.0}), {}, "found tok_embed->a0.h1, accepted are edges"),
        (change(**{"tok_embed->a0.h1": 1.0}), {"slots": False}, "found tok_embed->a0.h1 beside tok_embed->a0.h1<q>"),
        (change(**{"m0->logits": 1.0}), {}, "found m0->logits twice"),
        (lambda s: s.update({Edge("m0", "logits"): math.nan}), {}, "m0->logits: found NaN"),
        (lambda s: s.update({Edge("m0", "logits"): 10**400}), {}, "m0->logits: found 1000.*, accepted is a number"),
        (lambda s: s.update({Edge("m0", "logits"): "high"}), {}, "m0->logits: found 'high', accepted is a number"),
        (lambda s: s.update({Edge("m0", "logits"): None}), {}, "m0->logits: found None"),
        (lambda s: s.update({Edge("m0", "logits"): torch.ones(2)}), {}, "m0->logits: found tensor"),
        (change(m0=1.0), {"level": "node"}, "accepted are nodes or edges of the model"),
        (change(), {"level": "nodes"}, "level: found 'nodes', accepted: 'edge', 'node'"),
        (change(), {"level": "node", "slots": True}, "slots: found True at node level, accepted is False"),
    ],
)
def test_bad_scores(spoil: Callable[[dict[Any, Any]], Any], options: dict[str, Any], message: str):
    scores = labels()
    spoil(scores)
    with pytest.raises(ValueError, match=message):
        siit.score(scores, CIRCUIT, **options)


def test_missing_nodes():
    with pytest.raises(ValueError, match=r"found none for tok_embed, pos_embed, a0\.h1"):
        siit.score({"a0.h0": 1, "m0": 2}, CIRCUIT, level="node")


def test_nothing_to_tell_apart():
    empty = Circuit(CONFIG, {}, {})
    with pytest.raises(ValueError, match="circuit: found none of 2 edges on it"):
        siit.score(labels(), empty)
    full = Circuit(CONFIG, {"all": ("a0.h0", "a0.h1", "m0")}, {})
    with pytest.raises(ValueError, match="circuit: found all of 3 nodes on it"):
        siit.score({"a0.h0": 1, "a0.h1": 2, "m0": 3}, full, level="node", embeddings=False)


def test_scoring_needs_no_more_than_loading():
    code = """
import sys, siit
from siit.graph.architecture import Edge, ModelConfig
from siit.graph.circuit import Circuit
config = ModelConfig(n_layers=1, n_heads=1, d_model=1, d_head=1, d_mlp=1, n_ctx=1, d_vocab=1, d_vocab_out=1)
circuit = Circuit(config, {"flag": ("m0",)}, {Edge("m0", "logits"): "flag->output"})
assert siit.score({"a0.h0": 1, "m0": 2}, circuit, level="node", embeddings=False).roc_auc == 1
print({"sklearn", "scipy", "networkx", "transformer_lens", "tracr", "jax"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
