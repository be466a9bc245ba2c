"""What `Graph.from_json` of EAP-IG, and MIB with it, reads of a graph file: a strict check without any code of ours.

It makes the graph of all nodes and edges from `cfg` alone, then sets each node's and edge's attributes by name: a name
too many is a KeyError there, a name too few keeps the default, off the graph.
"""

from __future__ import annotations

import json
from typing import Any

_CFG = {"n_layers": int, "n_heads": int, "parallel_attn_mlp": bool, "d_model": int}


def check(text: str) -> dict[str, Any]:
    """The file's content, if it is exactly what the format asks for; an AssertionError otherwise."""
    content = json.loads(text, parse_constant=lambda name: _fail(f"{name} is no JSON number"))
    assert set(content) == {"cfg", "nodes", "edges"}
    cfg = content["cfg"]
    assert {key: type(value) for key, value in cfg.items()} == _CFG
    assert not cfg["parallel_attn_mlp"], "MLPs read the heads of their layer"
    layers = [[f"a{layer}.h{head}" for head in range(cfg["n_heads"])] for layer in range(cfg["n_layers"])]

    names, before = ["input"], ["input"]
    edges = []
    for layer, heads in enumerate(layers):
        edges += [f"{sender}->{head}<{slot}>" for sender in before for head in heads for slot in "qkv"]
        before += heads
        edges += [f"{sender}->m{layer}" for sender in before]
        before.append(f"m{layer}")
        names += [*heads, f"m{layer}"]
    edges += [f"{sender}->logits" for sender in before]

    nodes = content["nodes"]
    assert set(nodes) == {*names, "logits"}
    for node in nodes.values():
        assert set(node) == {"in_graph"}
        assert type(node["in_graph"]) is bool
    assert nodes["logits"]["in_graph"], "EAP-IG has logits always in the graph"
    assert set(content["edges"]) == set(edges)
    for name, edge in content["edges"].items():
        assert set(edge) == {"score", "in_graph"}
        assert type(edge["in_graph"]) is bool
        assert type(edge["score"]) is float
        assert (edge["score"] > 0) == edge["in_graph"], "a threshold must find the circuit"
        if edge["in_graph"]:
            sender, receiver = name.split("->")
            assert nodes[sender]["in_graph"] and nodes[receiver.partition("<")[0]]["in_graph"]
    return content


def _fail(message: str) -> Any:
    raise AssertionError(message)
