"""What every patch keeps to, whatever the weights."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siit.graph.architecture import DIRECTIONS, Edge, ModelConfig, edges, nodes, slots
from siit.graph.circuit import Circuit
from siit.transformer import BatchPatch, PatchPoints
from siit.transformer.patching import Read
from tests.builders import transformers

_SETTINGS = settings(max_examples=20, deadline=None)


def test_masks_list_senders_and_circuit_edges_first():
    config = ModelConfig(**transformers.SIZES | {"n_layers": 1, "n_heads": 2})
    late, early = Edge("a0.h1", "m0"), Edge("tok_embed", "a0.h1", "q")
    points = PatchPoints(Circuit(config, {"x": ("a0.h1",), "y": ("m0",)}, {late: "x->y", early: "tokens->x<q>"}))
    assert points.senders == ["tok_embed", "pos_embed", "a0.h0", "a0.h1", "m0"]
    assert points.n_circuit_edges == 2
    assert points.edges[:2] == [late, early]
    off = set(map(str, points.edges[2:]))
    embeddings = ("tok_embed", "pos_embed")
    into_heads = {f"{name}->a0.h{head}<{slot}>" for name in embeddings for head in (0, 1) for slot in "qkv"}
    into_last = {f"{name}->m0" for name in (*embeddings, "a0.h0", "a0.h1")}
    into_logits = {f"{name}->logits" for name in (*embeddings, "a0.h0", "a0.h1", "m0")}
    assert off == (into_heads | into_last | into_logits) - {str(late), str(early)}
    assert len(points.edges) == 2 + len(off)


@given(transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_every_edge_brings_its_own_term(config: ModelConfig, seed: int):
    circuit = transformers.some_circuit(config, seed)
    points = PatchPoints(circuit)
    for receiver in nodes(config)[2:]:
        reads: list[Read] = [(receiver, slot) for slot in slots(receiver)]
        terms, table = points.terms_of(reads, torch.device("cpu"))
        found = {
            points.edges[edge]: terms[column]
            for row in table.tolist()
            for column, edge in enumerate(row)
            if edge < len(points.edges)
        }
        into = {edge for edge in edges(config) if edge.receiver == receiver}
        assert found == {edge: (edge.sender, edge in circuit.carries) for edge in into}
        for row, read in zip(table.tolist(), reads, strict=True):
            assert {points.edges[edge].slot for edge in row if edge < len(points.edges)} <= {read[1]}


@given(transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_own_values_change_nothing(config: ModelConfig, seed: int):
    model, tokens = transformers.model_and_tokens(config, seed)
    clean = model.run(tokens)
    patch = transformers.some_patch(transformers.some_circuit(config, seed), tokens, seed)
    patched = model.run(tokens, patch=dataclasses.replace(patch, interchange=clean.senders, ablation=clean.senders))
    torch.testing.assert_close(patched.logits, clean.logits)
    torch.testing.assert_close(patched.senders, clean.senders)


@given(transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_no_patch_is_the_model(config: ModelConfig, seed: int):
    model, tokens = transformers.model_and_tokens(config, seed)
    patch = transformers.some_patch(transformers.some_circuit(config, seed), tokens, seed)
    nothing = dataclasses.replace(patch, nodes=torch.zeros_like(patch.nodes), edges=torch.zeros_like(patch.edges))
    torch.testing.assert_close(model(tokens, patch=nothing), model(tokens))


@given(st.data(), transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_all_edges_out_of_a_node_are_the_node(data: st.DataObject, config: ModelConfig, seed: int):
    model, tokens = transformers.model_and_tokens(config, seed)
    points = PatchPoints(transformers.whole_circuit(config, seed))
    index = data.draw(st.integers(0, len(points.senders) - 1))
    source = model.run(tokens.flip(0)).senders
    rows = torch.rand(len(tokens), generator=torch.Generator().manual_seed(seed)) < 0.5
    no_nodes = torch.zeros(len(points.senders), len(tokens), dtype=torch.bool)
    no_edges = torch.zeros(len(points.edges), len(tokens), dtype=torch.bool)
    node, outgoing = no_nodes.clone(), no_edges.clone()
    node[index] = rows
    outgoing[[edge.sender == points.senders[index] for edge in points.edges]] = rows
    by_node = model.run(tokens, patch=BatchPatch(points, node, no_edges, source, source))
    by_edges = model.run(tokens, patch=BatchPatch(points, no_nodes, outgoing, source, source))
    torch.testing.assert_close(by_edges.logits, by_node.logits)
    clean = model.run(tokens).senders[index]
    torch.testing.assert_close(by_edges.senders[index], clean)
    torch.testing.assert_close(by_node.senders[index][rows], source[index][rows])
    torch.testing.assert_close(by_node.senders[index][~rows], clean[~rows])


@given(st.data(), transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_an_edge_wins_over_its_sender(data: st.DataObject, config: ModelConfig, seed: int):
    model, tokens = transformers.model_and_tokens(config, seed)
    # No edge is on the circuit: nodes take the source's values, edges bring the model's own back.
    points = PatchPoints(transformers.whole_circuit(config, None))
    clean, source = model.run(tokens), model.run(tokens.flip(0))
    index = data.draw(st.integers(0, len(points.senders) - 1))
    nodes = torch.zeros(len(points.senders), len(tokens), dtype=torch.bool)
    nodes[index] = True
    back = torch.tensor([edge.sender == points.senders[index] for edge in points.edges])
    edges = back.unsqueeze(1).expand(-1, len(tokens))
    patched = model.run(tokens, patch=BatchPatch(points, nodes, edges, source.senders, clean.senders))
    torch.testing.assert_close(patched.logits, clean.logits)
    torch.testing.assert_close(patched.senders[index], source.senders[index])


@given(transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_examples_are_independent(config: ModelConfig, seed: int):
    model, tokens = transformers.model_and_tokens(config, seed)
    patch = transformers.some_patch(transformers.some_circuit(config, seed), tokens, seed)
    whole = model.run(tokens, patch=patch)
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(seed))
    for rows in (order, order[:1]):
        part = dataclasses.replace(
            patch,
            nodes=patch.nodes[:, rows],
            edges=patch.edges[:, rows],
            interchange=[value[rows] for value in patch.interchange],
            ablation=[value[rows] for value in patch.ablation],
        )
        outputs = model.run(tokens[rows], patch=part)
        torch.testing.assert_close(outputs.logits, whole.logits[rows])
        torch.testing.assert_close(outputs.senders, [value[rows] for value in whole.senders])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_only_bidirectional_positions_see_later_ones(direction: str):
    config = ModelConfig(**transformers.SIZES | {"n_layers": 2, "attention_dir": direction})
    model, tokens = transformers.model_and_tokens(config, seed=0)
    patch = transformers.some_patch(transformers.some_circuit(config, seed=0), tokens, seed=0)
    changed = tokens.clone()
    changed[:, -1] = (tokens[:, -1] + 1) % config.d_vocab
    for some in (None, patch):
        before, after = (model(ids, patch=some)[:, :-1] for ids in (tokens, changed))
        assert torch.allclose(before, after) == (direction == "causal")
