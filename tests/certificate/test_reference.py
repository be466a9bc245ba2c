"""The reference forward pass: against numbers worked out by hand, against itself, and against the model that trains."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siit.certificate import ReferenceModel
from siit.graph.architecture import ACTIVATIONS, EMBEDDINGS, Edge, ModelConfig, components, depth, edges, nodes
from siit.transformer import Transformer
from tests.builders import handmade

torch.set_num_threads(1)

_SETTINGS = settings(max_examples=30, deadline=None)


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    return ModelConfig(
        n_layers=draw(st.integers(1, 3)),
        n_heads=draw(st.integers(1, 3)),
        d_model=6,
        d_head=3,
        d_mlp=5,
        n_ctx=4,
        d_vocab=5,
        d_vocab_out=3,
        act_fn=draw(st.sampled_from(ACTIVATIONS)),
        attention_dir=draw(st.sampled_from(["causal", "bidirectional"])),
        normalization_type=draw(st.sampled_from([None, "LN"])),
    )


def random_model(config: ModelConfig, seed: int) -> tuple[ReferenceModel, Tensor]:
    """A model in double precision, and tokens for it."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in config.parameter_shapes().items()
    }
    tokens = torch.randint(config.d_vocab, (3, config.n_ctx), generator=generator)
    return ReferenceModel(config, weights), tokens


def some_node(data: st.DataObject, config: ModelConfig) -> str:
    return data.draw(st.sampled_from([*EMBEDDINGS, *components(config)]))


@given(st.data())
@_SETTINGS
def test_replacement_by_its_own_value_changes_nothing(data: st.DataObject):
    model, tokens = random_model(data.draw(configs()), data.draw(st.integers(0, 100)))
    clean = model.run(tokens)
    node = some_node(data, model.config)
    edge = data.draw(st.sampled_from(list(edges(model.config))))
    patched = model.patched(clean, {node: clean.outputs[node]}, {edge: clean.outputs[edge.sender]})
    torch.testing.assert_close(patched.logits, clean.logits)


@given(st.data())
@_SETTINGS
def test_replacing_all_edges_out_of_a_node_replaces_the_node(data: st.DataObject):
    model, tokens = random_model(data.draw(configs()), data.draw(st.integers(0, 100)))
    clean, source = model.run(tokens), model.run(tokens.flip(0))
    node = some_node(data, model.config)
    by_node = model.patched(clean, {node: source.outputs[node]})
    outgoing = {edge: source.outputs[node] for edge in edges(model.config) if edge.sender == node}
    by_edges = model.patched(clean, edges=outgoing)
    torch.testing.assert_close(by_node.logits, by_edges.logits)
    assert torch.equal(by_edges.outputs[node], clean.outputs[node])
    assert torch.equal(by_node.outputs[node], source.outputs[node])


@given(st.data())
@_SETTINGS
def test_replacing_everything_by_the_source_gives_the_source(data: st.DataObject):
    model, tokens = random_model(data.draw(configs()), data.draw(st.integers(0, 100)))
    clean, source = model.run(tokens), model.run(tokens.flip(0))
    torch.testing.assert_close(model.patched(clean, source.outputs).logits, source.logits)
    embedded = {name: source.outputs[name] for name in EMBEDDINGS}
    torch.testing.assert_close(model.patched(clean, embedded).logits, source.logits)


@given(st.data())
@_SETTINGS
def test_an_edge_wins_over_its_sender(data: st.DataObject):
    model, tokens = random_model(data.draw(configs()), data.draw(st.integers(0, 100)))
    clean, source = model.run(tokens), model.run(tokens.flip(0))
    node = some_node(data, model.config)
    back = {edge: clean.outputs[node] for edge in edges(model.config) if edge.sender == node}
    patched = model.patched(clean, {node: source.outputs[node]}, back)
    torch.testing.assert_close(patched.logits, clean.logits)


@given(st.data())
@_SETTINGS
def test_a_patch_touches_nothing_before_it(data: st.DataObject):
    model, tokens = random_model(data.draw(configs()), data.draw(st.integers(0, 100)))
    clean = model.run(tokens)
    edge = data.draw(st.sampled_from(list(edges(model.config))))
    patched = model.patched(clean, edges={edge: torch.zeros(1, 1, 6, dtype=torch.float64)})
    for node in components(model.config):
        if depth(node) <= depth(edge.receiver) and node != edge.receiver:
            assert torch.equal(patched.outputs[node], clean.outputs[node])


@pytest.mark.parametrize(
    ("act_fn", "direction", "norm"), list(itertools.product(ACTIVATIONS, ["causal", "bidirectional"], [None, "LN"]))
)
def test_agrees_with_the_model_that_trains(act_fn: str, direction: str, norm: str | None):
    sizes: dict[str, Any] = {"n_layers": 2, "n_heads": 2, "d_model": 6, "d_head": 3, "d_mlp": 5, "n_ctx": 4}
    changes: dict[str, Any] = {"act_fn": act_fn, "attention_dir": direction, "normalization_type": norm}
    config = ModelConfig(**sizes, **changes, d_vocab=5, d_vocab_out=3)
    reference, tokens = random_model(config, seed=1)
    model = Transformer(config).double()
    model.load_state_dict(reference.parameters)
    positions = torch.stack([torch.randperm(4), torch.arange(4), torch.tensor([0, 2, 1, 3])])
    for ids in (None, positions):
        with torch.no_grad():
            expected = model.run(tokens, ids)
        run = reference.run(tokens, ids)
        torch.testing.assert_close(run.logits, expected.logits)
        for name, output in zip(nodes(config)[:-1], expected.senders, strict=True):
            torch.testing.assert_close(run.outputs[name], output)


def test_edges_by_hand():
    model = ReferenceModel(handmade.CONFIG, handmade.parameters())
    clean = model.run(torch.tensor([[2, 1, 0, 1, 1]]))
    # Was the previous token an x? At positions 1 to 4: no (BOS), yes, no, yes.
    assert clean.outputs["a1.h0"][0, 1:, handmade.PREV].tolist() == [0, 1, 0, 1]
    twice = 2 * clean.outputs["m0"]
    # The value edge doubles what the head copies; the query edge carries nothing that the head asks for.
    value = model.patched(clean, edges={Edge("m0", "a1.h0", "v"): twice})
    assert value.logits[0, 1:, 1].tolist() == [0, 2, 0, 2]
    query = model.patched(clean, edges={Edge("m0", "a1.h0", "q"): twice})
    assert torch.equal(query.logits, clean.logits)
    # Position ids all one less: as queries they select two back, as keys the slot itself.
    earlier = handmade.parameters()["pos_embed.W_pos"][torch.tensor([0, 0, 1, 2, 3])]
    back = model.patched(clean, edges={Edge("pos_embed", "a1.h0", "q"): earlier})
    assert back.logits[0, 2:, 1].tolist() == [0, 1, 0]
    here = model.patched(clean, edges={Edge("pos_embed", "a1.h0", "k"): earlier})
    assert here.logits[0, 2:, 1].tolist() == [0, 1, 1]


def test_attention_bias_belongs_to_no_node():
    weights = handmade.parameters()
    weights["blocks.0.attn.b_O"][handmade.IS_X] = 1
    weights["blocks.1.attn.b_O"][handmade.PREV] = 3
    model = ReferenceModel(handmade.CONFIG, weights)
    clean = model.run(torch.tensor([[2, 1, 0, 1, 1]]))
    nothing = torch.zeros(1, 1, handmade.CONFIG.d_model)
    every = model.patched(clean, dict.fromkeys(["a0.h0", "a1.h0", "m0"], nothing))
    assert every.logits[0, :, 1].tolist() == [3] * 5
    value = model.patched(clean, edges={Edge("m0", "a1.h0", "v"): nothing})
    assert value.logits[0, :, 1].tolist() == [4] * 5


def test_unknown_nodes_and_edges():
    model = ReferenceModel(handmade.CONFIG, handmade.parameters())
    clean = model.run(torch.tensor([[2, 1, 0, 1, 1]]))
    nothing = torch.zeros(1)
    for node in ("m2", "logits", "a0.h3"):
        with pytest.raises(ValueError, match=f"node: found '{node}'"):
            model.patched(clean, {node: nothing})
    for edge in (Edge("m0", "a0.h0", "q"), Edge("m0", "a1.h0"), Edge("m0", "m1", "v"), Edge("m0", "m7")):
        with pytest.raises(ValueError, match="edge: found m0->"):
            model.patched(clean, edges={edge: nothing})
