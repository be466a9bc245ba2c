"""The labels as data: what is measured apart from what is not, in new files and in old ones."""

from __future__ import annotations

import dataclasses

import pytest

from siit.graph.architecture import Edge, ModelConfig
from siit.graph.circuit import Circuit

CONFIG = ModelConfig(
    n_layers=1, n_heads=1, d_model=4, d_head=4, d_mlp=4, n_ctx=3, d_vocab=3, d_vocab_out=2, normalization_type=None
)
CIRCUIT = Circuit(
    CONFIG,
    {"first": ("a0.h0",)},
    {Edge("tok_embed", "a0.h0", "v"): "tokens->first<v>", Edge("a0.h0", "logits"): "first->output"},
    roles={"a0.h0": "carries `first`: the first token"},
    programs={"a0.h0": "looks at the first position"},
)


def test_programs_are_written_and_read_beside_roles():
    data = CIRCUIT.to_json()
    (node,) = [node for node in data["nodes"] if "program" in node]
    assert (node["name"], node["program"]) == ("a0.h0", "looks at the first position")
    assert Circuit.from_json(data, CONFIG) == CIRCUIT
    assert CIRCUIT.to_networkx().nodes["a0.h0"]["program"] == "looks at the first position"
    assert not CIRCUIT.mixes_roles


def test_files_of_earlier_versions_have_roles_alone():
    data = CIRCUIT.to_json()
    for node in data["nodes"]:
        node.pop("program", None)
    found = Circuit.from_json(data, CONFIG)
    assert (found.roles, found.programs) == (CIRCUIT.roles, {})
    assert found.to_json() == data
    # Of heads alone: what a pointwise node computes is its value.
    assert found.mixes_roles
    assert not Circuit(CONFIG, {"first": ("m0",)}, {}, {"m0": "carries `first`: the token"}).mixes_roles


def test_idle_edges_are_named_with_the_reason_and_are_off_the_circuit():
    off, on = str(CIRCUIT.off_edges[0]), str(next(iter(CIRCUIT.carries)))
    circuit = dataclasses.replace(CIRCUIT, idle={off: "other edges carry all of it"})
    assert Circuit.from_json(circuit.to_json(), CONFIG) == circuit
    for name in (on, "a9.h0->logits"):
        with pytest.raises(ValueError, match=f"idle: found '{name}', accepted are edges of the model off the circuit"):
            dataclasses.replace(CIRCUIT, idle={name: "why"})
