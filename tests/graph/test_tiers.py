"""Tiers, on circuits made by hand and on the catalogue's programs."""

from __future__ import annotations

import pytest

from siit.graph.architecture import Edge, ModelConfig, earliest_layers
from siit.graph.circuit import Circuit
from siit.graph.tiers import TIERS, layers, tier
from tests.builders.programs import interchanges

CONFIG = ModelConfig(n_layers=6, n_heads=4, d_model=8, d_head=2, d_mlp=8, n_ctx=5, d_vocab=5, d_vocab_out=2)


def circuit(*edges: str, together: tuple[str, ...] = ()) -> Circuit:
    """A circuit of the edges, "m0 a1.h0 k" or "m0 m1"; each node is a unit, but those `together` are one."""
    carries = {Edge(*edge.split()): edge for edge in edges}  # type: ignore[arg-type]
    nodes = {end for edge in carries for end in (edge.sender, edge.receiver)} - {"tok_embed", "pos_embed", "logits"}
    alignment: dict[str, tuple[str, ...]] = {node: (node,) for node in sorted(nodes - set(together))}
    if together:
        alignment["together"] = together
    return Circuit(CONFIG, alignment, carries)


@pytest.mark.parametrize(
    ("expected", "needed", "edges"),
    [
        # Nothing moves between positions, however many MLPs there are.
        ("pointwise", 0, ["tok_embed logits"]),
        ("pointwise", 1, ["tok_embed m3", "m3 logits"]),
        ("pointwise", 4, ["tok_embed m1", "m1 m2", "m2 m4", "m4 m5", "m5 logits"]),
        # One head, alone or decoded by an MLP: one layer would do, wherever the two lie.
        ("single", 1, ["tok_embed a2.h1 v", "a2.h1 logits"]),
        ("single", 1, ["tok_embed a1.h1 v", "a1.h1 m4", "tok_embed m4", "m4 logits"]),
        # A head that reads an MLP, and an MLP that reads one and a head.
        ("composed", 2, ["tok_embed m0", "m0 a1.h0 v", "a1.h0 logits"]),
        ("composed", 2, ["tok_embed a0.h0 v", "a0.h0 m0", "m0 m1", "m1 logits"]),
        ("composed", 2, ["tok_embed a0.h0 v", "tok_embed m0", "a0.h0 m1", "m0 m1", "m1 logits"]),
        # Two heads, side by side and in turn.
        ("composed", 1, ["tok_embed a0.h0 v", "tok_embed a0.h1 v", "a0.h0 m0", "a0.h1 m0", "m0 logits"]),
        ("composed", 2, ["tok_embed a0.h0 v", "a0.h0 a3.h1 k", "a3.h1 logits"]),
        # A long chain with a head in it.
        ("composed", 3, ["tok_embed m0", "m0 m1", "m1 a2.h0 q", "a2.h0 logits"]),
        ("deep", 4, ["tok_embed m0", "m0 m1", "m1 m2", "m2 a3.h0 q", "a3.h0 logits"]),
        ("deep", 4, [f"a{layer}.h0 a{layer + 1}.h0 v" for layer in range(3)]),
    ],
)
def test_tier_of_a_circuit_made_by_hand(expected: str, needed: int, edges: list[str]):
    found = circuit(*edges)
    assert (tier(found), layers(found)) == (expected, needed)


def test_heads_of_one_variable_are_one_step():
    edges = ["tok_embed a1.h0 v", "tok_embed a1.h2 v", "a1.h0 m1", "a1.h2 m1", "m1 logits"]
    assert tier(circuit(*edges, together=("a1.h0", "a1.h2"))) == "single"
    assert tier(circuit(*edges)) == "composed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("first_token_everywhere", "single"),
        ("histogram", "single"),
        ("frac_prevs", "composed"),
        ("detect_abc", "composed"),
        ("reverse", "composed"),
        ("reverse_if_sorted", "deep"),
    ],
)
def test_tier_of_the_catalogues_programs(name: str, expected: str):
    """In models with a layer to spare, at the drawn places."""
    assert tier(interchanges(name).labels.circuit) == expected
    assert expected in TIERS


def test_earliest_layers():
    """An MLP comes after the attention of its layer, attention after the MLP of the layer before."""
    reads = {"x": ["tokens"], "look": ["x"], "decode": ["look", "x"], "again": ["decode"], "aside": ["tokens"]}
    assert earliest_layers(reads, {"look", "again", "aside"}) == {
        "x": 0,
        "look": 1,
        "decode": 1,
        "again": 2,
        "aside": 0,
    }
    assert earliest_layers(reads, set()) == {"x": 0, "look": 1, "decode": 2, "again": 3, "aside": 0}
    alone = earliest_layers(reads, {"look", "again", "aside"}, {"look", "aside"})
    assert alone == {"x": 0, "look": 1, "decode": 2, "again": 3, "aside": 3}, "no MLP before has room for `aside`"
    assert earliest_layers({"look": [], "flag": []}, {"look"}, {"look"}) == {"look": 0, "flag": 1}
