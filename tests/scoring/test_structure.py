"""What placement alone tells: by hand, and against placements that are drawn."""

from __future__ import annotations

from collections import Counter

import pytest

from siit.graph.architecture import Edge, ModelConfig, edges
from siit.graph.circuit import Circuit
from siit.interchange.alignment import AlignmentConfig, derive_labels, draw_alignment
from siit.scoring.structure import edge_probabilities, node_probabilities
from tests.builders.programs import causal_model


def config(n_layers: int, n_heads: int) -> ModelConfig:
    return ModelConfig(
        n_layers=n_layers, n_heads=n_heads, d_model=4, d_head=2, d_mlp=4, n_ctx=4, d_vocab=4, d_vocab_out=2
    )


def test_by_hand():
    """An MLP, then a head of a later layer: of three layers with two heads each."""
    circuit = Circuit(
        config(3, 2),
        {"flag": ("m0",), "mix": ("a2.h1",)},
        {
            Edge("tok_embed", "m0"): "tokens->flag",
            Edge("m0", "a2.h1", "v"): "flag->mix<v>",
            Edge("a2.h1", "logits"): "mix->output",
        },
    )
    found = {str(edge): chance for edge, chance in edge_probabilities(circuit).items() if chance}
    # The layers are 0 and 1, 0 and 2, or 1 and 2; then one head of two.
    third = pytest.approx(1 / 3)
    half_third = pytest.approx(1 / 6)
    assert found == {
        "tok_embed->m0": pytest.approx(2 / 3),
        "tok_embed->m1": third,
        **{f"m0->a{layer}.h{head}<v>": half_third for layer in (1, 2) for head in (0, 1)},
        **{f"m1->a2.h{head}<v>": half_third for head in (0, 1)},
        **{f"a1.h{head}->logits": half_third for head in (0, 1)},
        **{f"a2.h{head}->logits": third for head in (0, 1)},
    }
    nodes = {node: chance for node, chance in node_probabilities(circuit).items() if chance}
    assert nodes == {
        "tok_embed": 1,
        "m0": pytest.approx(2 / 3),
        "m1": third,
        **{f"a1.h{head}": half_third for head in (0, 1)},
        **{f"a2.h{head}": third for head in (0, 1)},
    }


def test_heads_and_the_mlp_of_one_layer():
    circuit = Circuit(
        config(2, 3),
        {"mix": ("a1.h0", "a1.h2"), "flag": ("m1",)},
        {Edge("a1.h0", "m1"): "mix->flag", Edge("a1.h2", "m1"): "mix->flag"},
    )
    found = {str(edge): chance for edge, chance in edge_probabilities(circuit).items() if chance}
    expected = {f"a{layer}.h{head}->m{layer}": pytest.approx(2 / 3 / 2) for layer in (0, 1) for head in range(3)}
    assert found == expected


@pytest.mark.parametrize(
    ("name", "shape", "settings"),
    [
        ("frac_prevs", config(4, 2), AlignmentConfig()),
        ("sort_by_key", config(4, 3), AlignmentConfig()),  # two heads of one layer count
        ("sort_by_key", config(5, 3), AlignmentConfig(heads={"rank_share": 3}, mlps=["rank_share"])),
    ],
)
def test_as_often_as_drawn(name: str, shape: ModelConfig, settings: AlignmentConfig):
    """The rule says how many heads each variable has; where they are is drawn."""
    model = causal_model(name)
    draws = 500
    count: Counter[Edge] = Counter()
    for seed in range(draws):
        alignment = draw_alignment(model, shape, settings, seed)
        circuit = derive_labels(model, shape, alignment).circuit
        count.update(list(circuit.carries))
    found = edge_probabilities(circuit)
    for edge in edges(shape):
        assert found[edge] == pytest.approx(count[edge] / draws, abs=0.08)
