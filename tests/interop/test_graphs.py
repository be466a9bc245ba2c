"""Circuits in the formats of EAP-IG, ACDC and NetworkX."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings

from siit.bundle import write_bundle
from siit.graph.architecture import ModelConfig, edges
from siit.graph.hooks import edges_by_hooks, hook_edge
from tests.builders.bundles import CONFIG, make_bundle, make_circuit
from tests.builders.transformers import SEEDS, configs, some_circuit
from tests.interop import graph_json

CIRCUIT = make_circuit(CONFIG)
"""tok_embed -> a0.h1<v>, a0.h1 -> m1, m1 -> logits, in two layers of two heads."""


@given(configs(), SEEDS)
@settings(max_examples=30, deadline=None)
def test_every_graph_is_as_eap_ig_reads_it(config: ModelConfig, seed: int):
    circuit = some_circuit(config, seed)
    content = graph_json.check(json.dumps(circuit.to_graph_json()))
    assert [name for name, node in content["nodes"].items() if node["in_graph"]] == [
        "input",
        *circuit.unit_of,
        "logits",
    ]


def test_the_bundles_graph_is_as_eap_ig_reads_it(tmp_path: Path):
    content = graph_json.check((write_bundle(tmp_path, make_bundle()) / "graph.json").read_text())
    on = [name for name, edge in content["edges"].items() if edge["in_graph"]]
    assert on == ["input->a0.h1<v>", "a0.h1->m1", "m1->logits"]
    # 6 slots and 2 more receivers per layer: input, 2 heads, MLP, 2 heads, MLP send.
    assert len(content["edges"]) == (6 * 1 + 3) + (6 * 4 + 6) + 7


@pytest.mark.parametrize(
    "spoil",
    [
        lambda graph: graph["nodes"].pop("m0"),
        lambda graph: graph["nodes"].update(tok_embed={"in_graph": True}),
        lambda graph: graph["edges"].pop("input->m0"),
        lambda graph: graph["edges"].update({"m1->m0": {"score": 0.0, "in_graph": False}}),
        lambda graph: graph["edges"]["input->m0"].update(score=0),
        lambda graph: graph["edges"]["input->m0"].update(in_graph=True),
        lambda graph: graph["edges"]["input->m0"].update(score=1.0, in_graph=True),
        lambda graph: graph["cfg"].update(n_heads=3),
        lambda graph: graph["cfg"].update(n_ctx=3),
    ],
)
def test_the_check_itself_is_strict(spoil: Callable[[Any], Any]):
    graph = copy.deepcopy(CIRCUIT.to_graph_json())
    spoil(graph)
    with pytest.raises(AssertionError):
        graph_json.check(json.dumps(graph))


def test_hook_edges():
    assert CIRCUIT.to_hook_edges() == [
        "hook_embed -> blocks.0.hook_v_input[1]",
        "blocks.0.attn.hook_result[1] -> blocks.1.hook_mlp_in",
        "blocks.1.hook_mlp_out -> blocks.1.hook_resid_post",
    ]


def test_hook_names_tell_all_edges_apart():
    names = [hook_edge(edge, CONFIG) for edge in edges(CONFIG)]
    assert len(set(names)) == len(names)
    assert names[0] == "hook_embed -> blocks.0.hook_q_input[0]"
    assert {"hook_pos_embed -> blocks.0.hook_k_input[1]", "blocks.0.hook_mlp_out -> blocks.1.hook_v_input[0]"} < {
        *names
    }
    assert list(edges_by_hooks(CONFIG).values()) == list(edges(CONFIG))


def test_networkx():
    graph = CIRCUIT.to_networkx()
    assert list(graph.nodes) == CIRCUIT.members
    assert list(graph.edges(keys=True)) == [("tok_embed", "a0.h1", "v"), ("a0.h1", "m1", ""), ("m1", "logits", "")]
    assert graph.edges["tok_embed", "a0.h1", "v"] == {"slot": "v", "in_circuit": True, "carries": "tokens->is_x<v>"}
    assert graph.nodes["a0.h1"] == {
        "in_circuit": True,
        "unit": "is_x",
        "role": "says which tokens are x",
        "program": "",
        "layer": 0,
    }
    assert (graph.nodes["logits"]["layer"], graph.nodes["logits"]["unit"]) == (None, None)
    assert graph.graph == {"n_layers": 2, "n_heads": 2}
    assert nx.has_path(graph, "tok_embed", "logits")
    assert not nx.has_path(graph, "pos_embed", "logits")


def test_networkx_of_the_whole_model():
    graph = CIRCUIT.to_networkx(whole=True)
    assert graph.number_of_edges() == len(list(edges(CONFIG)))
    assert nx.is_directed_acyclic_graph(graph)
    on = [edge for edge, is_on in nx.get_edge_attributes(graph, "in_circuit").items() if is_on]
    assert set(on) == set(CIRCUIT.to_networkx().edges(keys=True))
    assert {node for node, is_on in graph.nodes(data="in_circuit") if is_on} == set(CIRCUIT.members)
    assert graph.edges["a0.h0", "a1.h0", "q"] == {"slot": "q", "in_circuit": False, "carries": None}


def test_without_networkx(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match=r"^to_networkx: found no networkx, .*`pip install '.*\[graph\]'`"):
        CIRCUIT.to_networkx()
