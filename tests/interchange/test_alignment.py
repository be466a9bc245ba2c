"""Alignments drawn from the seed, and the circuits that follow from them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tracr.rasp import rasp

from siit.graph.architecture import Edge, layer_of
from siit.graph.circuit import Circuit
from siit.interchange.alignment import (
    AlignmentConfig,
    Labels,
    derive_labels,
    draw_alignment,
    heads_needed,
    program_layers,
)
from siit.interchange.capacity import one_head_each
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.ioi import task as ioi_task
from tests.builders.programs import NAMES, causal_model, config_for, derive, exclusions, labels, own, task


def carried(found: Labels) -> dict[str, str | None]:
    return {str(edge): name for edge, name in found.circuit.carries.items()}


def drawn(name: str, seed: int, settings: AlignmentConfig | None = None, **changes: Any) -> dict[str, tuple[str, ...]]:
    config = config_for(task(name), **changes)
    return dict(draw_alignment(causal_model(name), config, settings or AlignmentConfig(), seed))


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("frac_prevs", {"is_x": 0, "frac_prevs": 1}),
        ("reverse", {"length_share": 0, "length": 0, "mirrored": 1, "reverse": 2}),
        ("sort_by_key", {"sort_key": 0, "rank_share": 1, "rank": 1, "sort_by_key": 2}),
        ("first_token_everywhere", {"first_token_everywhere": 0}),
        ("detect_abc", {"previous": 0, "before_previous": 0, "ab_before": 0, "detect_abc": 1}),
    ],
)
def test_program_layers(name: str, layers: dict[str, int]):
    assert program_layers(causal_model(name)) == layers


def test_heads_needed():
    assert heads_needed(causal_model("detect_abc"), one_head_each(causal_model("detect_abc"))) == 2
    settings = AlignmentConfig(heads={"rank_share": 3})
    assert heads_needed(causal_model("sort_by_key"), settings.capacity(causal_model("sort_by_key"))) == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_an_alignment(name: str):
    assert drawn(name, 3) == drawn(name, 3)
    assert len({str(drawn(name, seed)) for seed in range(20)}) > 4


def test_any_head_and_any_increasing_placement_occurs():
    alignments = [drawn("frac_prevs", seed, n_layers=4) for seed in range(400)]
    places = {(layer_of(found["is_x"][0]), layer_of(found["frac_prevs"][0])) for found in alignments}
    assert places == {(first, then) for first in range(4) for then in range(first + 1, 4)}
    heads = {found["frac_prevs"] for found in alignments}
    assert heads == {(f"a{layer}.h{index}",) for layer in (1, 2, 3) for index in range(4)}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_has_a_circuit(name: str):
    for seed in range(5):
        found = labels(task(name), seed=seed).circuit
        used = [node for nodes in drawn(name, seed).values() for node in nodes]
        assert set(found.unit_of) == set(used)
        heads = [node for node in used if node.startswith("a")]
        assert len(set(heads)) == len(heads), "no two variables share a head"


@pytest.mark.parametrize(
    ("name", "settings", "changes", "message"),
    [
        ("reverse", {}, {"n_layers": 2}, "model.n_layers: found 2, the program needs at least 3"),
        ("detect_abc", {}, {"n_heads": 1}, "model.n_heads: found 1, the program needs at least 2 in one layer"),
        ("sort_by_key", {"heads": {"rank_share": 5}}, {}, "model.n_heads: found 4, the program needs at least 5"),
        (
            "reverse",
            {"heads": {"reversed": 2}},
            {},
            r"unknown variables \['reversed'\], accepted: length_share, length",
        ),
        ("reverse", {"heads": {"mirrored": 2}}, {}, r"alignment.heads: \['mirrored'\] are computed by MLPs, accepted"),
        ("reverse", {"heads": {"reverse": 0}}, {}, r"alignment.heads: found \{'reverse': 0\}, accepted is at least 1"),
        ("frac_prevs", {"mlps": ["is_y"]}, {}, r"unknown variables \['is_y'\], accepted: is_x, frac_prevs"),
        (
            "frac_prevs",
            {"mlps": ["is_x"]},
            {},
            r"alignment.mlps: \['is_x'\] are computed by MLPs, accepted are attention",
        ),
        ("frac_prevs", {"nodes": {"is_y": ["m0"]}}, {}, r"unknown variables \['is_y'\]"),
        ("frac_prevs", {"nodes": {"is_x": ["m0"]}}, {}, r"missing \['frac_prevs'\]; a fixed alignment names all"),
        ("frac_prevs", {"nodes": {"is_x": ["a0.h0"], "frac_prevs": ["a1.h0"]}}, {}, "is_x moves nothing between"),
        ("frac_prevs", {"nodes": {"is_x": [], "frac_prevs": ["a1.h0"]}}, {}, "is_x has no node, accepted is at least"),
        ("frac_prevs", {"nodes": {"is_x": ["m0"], "frac_prevs": ["m1"]}}, {}, "frac_prevs moves .*, it needs a head"),
        ("frac_prevs", {"nodes": {"is_x": ["m0", "m0"], "frac_prevs": ["a1.h0"]}}, {}, "is_x names a node twice"),
        ("frac_prevs", {"nodes": {"is_x": ["mlp0"], "frac_prevs": ["a1.h0"]}}, {}, "found 'mlp0', accepted is a head"),
    ],
)
def test_alignments_that_cannot_be(name: str, settings: Any, changes: Any, message: str):
    with pytest.raises(ValueError, match=message):
        drawn(name, 0, AlignmentConfig(**settings), **changes)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"is_x": ["m1"], "frac_prevs": ["a1.h0"]}, r"is_x->frac_prevs<v> needs m1 before a1.h0, found it at or after"),
        ({"is_x": ["m0"], "frac_prevs": ["a1.h7"]}, "alignment of 'frac_prevs' names 'a1.h7', accepted are the heads"),
        ({"is_x": ["logits"], "frac_prevs": ["a1.h0"]}, "needs logits before a1.h0"),
    ],
)
def test_placements_that_cannot_be(nodes: Mapping[str, Sequence[str]], message: str):
    with pytest.raises(ValueError, match=message):
        labels(task("frac_prevs"), nodes)


def test_the_circuit_of_frac_prevs():
    found = labels(task("frac_prevs"), {"is_x": ["m0"], "frac_prevs": ["a1.h2"]})
    assert carried(found) == {
        "tok_embed->m0": "tokens->is_x",
        "pos_embed->a1.h2<k>": "indices->frac_prevs<k>",
        "pos_embed->a1.h2<q>": "indices->frac_prevs<q>",
        "m0->a1.h2<v>": "is_x->frac_prevs<v>",
        "a1.h2->logits": "frac_prevs->output",
    }
    assert found.circuit.alignment == {"is_x": ("m0",), "frac_prevs": ("a1.h2",)}
    assert found.circuit.roles["a1.h2"] == "carries `frac_prevs`: the mean of `is_x` over all positions up to its own"
    assert found.circuit.programs == {"a1.h2": "averages is_x over the prefix"}
    assert found.circuit.excluded == {}
    assert found.circuit.variables["frac_prevs"]["parents"] == {"q": ["indices"], "k": ["indices"], "v": ["is_x"]}


def test_the_circuit_of_reverse():
    nodes = {"length_share": ["a0.h1"], "length": ["m0"], "mirrored": ["m1"], "reverse": ["a2.h3"]}
    found = labels(task("reverse"), nodes)
    assert carried(found) == {
        "tok_embed->a0.h1<k>": "tokens->length_share<k>",
        "tok_embed->a0.h1<v>": "tokens->length_share<v>",
        "a0.h1->m0": "length_share->length",
        "pos_embed->m1": "indices->mirrored",
        "m0->m1": "length->mirrored",
        "pos_embed->a2.h3<k>": "indices->reverse<k>",
        "m1->a2.h3<q>": "mirrored->reverse<q>",
        "tok_embed->a2.h3<v>": "tokens->reverse<v>",
        "a2.h3->logits": "reverse->output",
    }
    # Everybody looks at everything: the query does not matter.
    assert list(found.circuit.excluded) == ["tokens->length_share<q>"]


def test_the_circuit_of_open_minus_close_fraction():
    name = "open_minus_close_fraction"
    both = ["is_open", "is_close"]
    nodes = {"is_open": ["m0"], "is_close": ["m0"], "frac_open": ["a1.h0"], "frac_close": ["a1.h1"], name: ["m1"]}
    found = labels(task(name), nodes)
    merged = "+".join(variable for variable in causal_model(name).variables if variable in both)
    assert carried(found) == {
        "tok_embed->m0": f"tokens->{merged}",
        "pos_embed->a1.h0<k>": "indices->frac_open<k>",
        "pos_embed->a1.h0<q>": "indices->frac_open<q>",
        "m0->a1.h0<v>": "is_open->frac_open<v>",
        "pos_embed->a1.h1<k>": "indices->frac_close<k>",
        "pos_embed->a1.h1<q>": "indices->frac_close<q>",
        "m0->a1.h1<v>": "is_close->frac_close<v>",
        "a1.h0->m1": f"frac_open->{name}",
        "a1.h1->m1": f"frac_close->{name}",
        "m1->logits": f"{name}->output",
    }
    assert found.circuit.alignment[merged] == ("m0",)
    assert set(found.units[merged]) == set(both)
    assert {str(edge) for edge in found.edges[f"tokens->{merged}"]} == {"tokens->is_open", "tokens->is_close"}
    close, opened = (
        "carries `is_close`: 1 where the token is ')', else 0",
        "carries `is_open`: 1 where the token is '(', else 0",
    )
    assert found.circuit.roles["m0"] == f"{close}; {opened}"


SORT = {"sort_key": ["m0"], "rank_share": ["a1.h0", "a1.h3"], "rank": ["m1"], "sort_by_key": ["a2.h1"]}


def test_a_variable_on_two_heads():
    found = labels(task("sort_by_key"), SORT)
    heads = {
        f"{sender}->a1.h{head}<{slot}>": f"{parent}->rank_share<{slot}>"
        for head in (0, 3)
        for sender, parent, slots in (("m0", "sort_key", "qk"), ("tok_embed", "tokens", "kv"))
        for slot in slots
    }
    assert carried(found) == heads | {
        "tok_embed->m0": "tokens->sort_key",
        "pos_embed->m0": "indices->sort_key",
        "a1.h0->m1": "rank_share->rank",
        "a1.h3->m1": "rank_share->rank",
        "m1->a2.h1<k>": "rank->sort_by_key<k>",
        "pos_embed->a2.h1<q>": "indices->sort_by_key<q>",
        "tok_embed->a2.h1<v>": "tokens->sort_by_key<v>",
        "a2.h1->logits": "sort_by_key->output",
    }
    assert found.circuit.alignment["rank_share"] == ("a1.h0", "a1.h3")
    assert found.circuit.edges_by_carried["rank_share->rank"] == [Edge("a1.h0", "m1"), Edge("a1.h3", "m1")]
    two = drawn("sort_by_key", 5, AlignmentConfig(heads={"rank_share": 2}))["rank_share"]
    assert len(set(two)) == 2 and len({layer_of(node) for node in two}) == 1


def test_a_set_with_an_mlp():
    """Its head reads each parent in that parent's slot, its MLP reads all of them and the head."""
    nodes = {"sort_key": ["m0"], "rank_share": ["m1", "a1.h0"], "rank": ["m2"], "sort_by_key": ["a3.h1"]}
    found = labels(task("sort_by_key"), nodes)
    edges = carried(found)
    assert found.circuit.alignment["rank_share"] == ("a1.h0", "m1")
    # sort_key is read as query and key, tokens as key and value: over m1 they come together.
    query_key, key_value = "sort_key->rank_share<q+k>", "tokens->rank_share<k+v>"
    assert {edge: name for edge, name in edges.items() if "a1.h0" in edge or "m1" in edge} == {
        "m0->a1.h0<q>": query_key,
        "m0->a1.h0<k>": query_key,
        "tok_embed->a1.h0<k>": key_value,
        "tok_embed->a1.h0<v>": key_value,
        "m0->m1": query_key,
        "tok_embed->m1": key_value,
        "a1.h0->m1": None,
        "a1.h0->m2": "rank_share->rank",
        "m1->m2": "rank_share->rank",
    }
    assert {str(edge) for edge in found.edges[key_value]} == {"tokens->rank_share<k>", "tokens->rank_share<v>"}


def test_a_head_that_reads_an_mlp_of_its_own_variable():
    """Whatever it reads there, as query, key or value, is the variable's."""
    nodes = {"sort_key": ["m0"], "rank_share": ["m1", "a2.h0"], "rank": ["m2"], "sort_by_key": ["a3.h1"]}
    edges = carried(labels(task("sort_by_key"), nodes))
    assert [edges[f"m1->a2.h0<{slot}>"] for slot in "qkv"] == [None] * 3


@pytest.mark.parametrize("seed", range(5))
def test_a_variable_with_the_mlp_of_its_layer(seed: int):
    """Drawn heads and MLP; the draw of the heads is that without it."""
    settings = AlignmentConfig(heads={"frac_prevs": 2}, mlps=["frac_prevs"])
    found, without = drawn("frac_prevs", seed, settings), drawn("frac_prevs", seed, AlignmentConfig({"frac_prevs": 2}))
    *heads, last = found["frac_prevs"]
    assert tuple(heads) == without["frac_prevs"] and found["is_x"] == without["is_x"]
    assert last == f"m{layer_of(heads[0])}" and len(heads) == 2
    config = config_for(task("frac_prevs"))
    edges = {str(edge) for edge in derive_labels(causal_model("frac_prevs"), config, found).circuit.carries}
    assert {f"{heads[0]}->{last}", f"{heads[1]}->{last}", f"{last}->logits", f"{found['is_x'][0]}->{last}"} <= edges


@pytest.mark.parametrize("seed", range(5))
def test_variables_that_ask_for_an_mlp_have_it_for_themselves(seed: int):
    """Previous and duplicate token are of one layer until both ask for its MLP; so are a width and its share."""
    model = ioi_task("ioi_full").model
    assert program_layers(model)["previous"] == program_layers(model)["duplicate"] == 0
    layers = program_layers(model, ["previous", "duplicate"])
    assert (layers["previous"], layers["duplicate"], layers["induction"], layers["s_inhibition"]) == (0, 1, 1, 2)
    both = AlignmentConfig(heads={"previous": 3, "duplicate": 3, "induction": 1}, mlps=["previous", "duplicate"])
    assert heads_needed(model, both.capacity(model)) == 4
    config = dataclasses.replace(config_for(ioi_task("ioi_full")), n_layers=6)
    found = draw_alignment(model, config, AlignmentConfig(mlps=["previous", "duplicate"]), seed)
    assert len(set(sum(found.values(), ()))) == len(sum(found.values(), ()))
    labels = derive_labels(model, config, found)
    assert all(unit == members[0] for unit, members in labels.units.items())
    shared = drawn("sort_by_key", seed, AlignmentConfig(mlps=["rank_share"]))
    assert shared["rank_share"][-1].startswith("m") and shared["rank_share"][-1] not in shared["rank"]


WITH_MLP = {"is_x": ("m0",), "frac_prevs": ("a1.h0", "a1.h2", "m1")}


def without(*idle: str) -> Circuit:
    """The circuit of two heads and the MLP of their layer, without some edges."""
    model, config = causal_model("frac_prevs"), config_for(task("frac_prevs"))
    by_name = {str(edge): edge for edge in derive_labels(model, config, WITH_MLP).circuit.carries}
    return derive_labels(model, config, WITH_MLP, idle=[by_name[name] for name in idle]).circuit


def test_an_idle_edge_is_off_the_circuit_and_nothing_else_changes():
    whole, narrow = without(), without("pos_embed->a1.h2<q>")
    assert set(map(str, whole.carries)) - set(map(str, narrow.carries)) == {"pos_embed->a1.h2<q>"}
    assert narrow.alignment == whole.alignment and narrow.edges_by_carried.keys() == whole.edges_by_carried.keys()
    assert not whole.idle and narrow.idle == {"pos_embed->a1.h2<q>": "other edges carry all of indices->frac_prevs<q>"}


def test_a_node_that_nothing_reads_leaves_the_circuit_with_all_that_it_reads():
    narrow = without("a1.h2->logits", "a1.h2->m1")
    assert narrow.alignment == {"is_x": ("m0",), "frac_prevs": ("a1.h0", "m1")}
    assert not [edge for edge in narrow.carries if "a1.h2" in (edge.sender, edge.receiver)]
    assert not narrow.idle, "from the alignment that is left all of it follows"
    assert without("m0->a1.h2<v>").alignment == narrow.alignment, "nor one that reads no values any more"
    assert without("m1->logits").alignment == {"is_x": ("m0",), "frac_prevs": ("a1.h0", "a1.h2")}


@pytest.mark.parametrize(
    ("idle", "message"),
    [
        (("a1.h0->logits", "a1.h2->logits", "m1->logits"), "found none that carries frac_prevs->output"),
        (("a1.h0->logits", "a1.h2->logits", "a1.h0->m1", "a1.h2->m1"), "found no head of frac_prevs that any edge"),
    ],
)
def test_something_carries_each_high_level_edge_and_attention_variables_keep_a_head(
    idle: tuple[str, ...], message: str
):
    with pytest.raises(ValueError, match=message):
        without(*idle)


def test_two_parents_in_one_node_are_exchanged_together():
    def make() -> rasp.SOp:
        first = rasp.Map(lambda x: x == "a", rasp.tokens).named("first")
        second = rasp.SequenceMap(lambda x, y: (x == "b") + (y == 2), rasp.tokens, rasp.indices).named("second")
        return rasp.SequenceMap(lambda x, y: f"{x}{y}", first, second).named("both")

    model = build_causal_model(own(make))
    found = derive(model, {"first": ["m0"], "second": ["m0"], "both": ["m1"]})
    assert carried(found) == {
        "pos_embed->m0": "indices->second",
        "tok_embed->m0": "tokens->first+second",
        "m0->m1": "first+second->both",
        "m1->logits": "both->output",
    }
    assert found.circuit.alignment == {"first+second": ("m0",), "both": ("m1",)}
    assert found.units == {"first+second": ("first", "second"), "both": ("both",)}


def test_a_chain_of_shared_nodes_is_one_unit():
    def make() -> rasp.SOp:
        parts = [rasp.Map(lambda x, t=t: x == t, rasp.tokens).named(t) for t in "abc"]
        pair = rasp.SequenceMap(lambda x, y: x or y, parts[0], parts[1]).named("pair")
        return rasp.SequenceMap(lambda x, y: x or y, pair, parts[2]).named("any")

    model = build_causal_model(own(make, vocab="abcd"))
    nodes = {"a": ["m0"], "c": ["m1"], "b": ["m0", "m1"], "pair": ["m2"], "any": ["m3"]}
    found = derive(model, nodes)
    (unit,) = [unit for unit in found.units if "+" in unit]
    assert set(found.units[unit]) == {"a", "b", "c"}
    assert found.circuit.alignment[unit] == ("m0", "m1")
    assert carried(found)["m0->m1"] is None


def test_excluded_variables_leave_the_circuit():
    nodes = {"length_share": ["a0.h1"], "length": ["m0"], "mirrored": ["m1"], "reverse": ["a2.h3"]}
    model, config = causal_model("reverse"), config_for(task("reverse"))
    alignment = draw_alignment(model, config, AlignmentConfig(nodes=nodes), 0)
    reasons = {"length_share": "constant", "length": "constant"}
    found = derive_labels(model, config, alignment, reasons)
    assert found.circuit.excluded == reasons
    assert found.circuit.alignment == {"mirrored": ("m1",), "reverse": ("a2.h3",)}
    assert not [edge for edge in carried(found) if "a0.h1" in edge or "m0" in edge]
    assert {"a0.h1", "m0"} <= set(found.circuit.off_nodes)


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name: str):
    circuit = labels(task(name)).circuit
    again = Circuit.from_json(json.loads(json.dumps(circuit.to_json())), circuit.config)
    assert again.to_json() == circuit.to_json()
    assert (again.carries, again.alignment) == (circuit.carries, circuit.alignment)


def eap_graph_edges(n_layers: int, n_heads: int) -> list[str]:
    """All edges of EAP-IG's graph, spelled out: a head reads in three slots what lies in earlier layers, an MLP
    also the heads of its own layer, the logits everything."""
    names, before = [], ["input"]
    for layer in range(n_layers):
        heads = [f"a{layer}.h{index}" for index in range(n_heads)]
        names += [f"{sender}->{head}<{slot}>" for head in heads for slot in "qkv" for sender in before]
        before += heads
        names += [f"{sender}->m{layer}" for sender in before]
        before.append(f"m{layer}")
    return names + [f"{sender}->logits" for sender in before]


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_of_eap_ig(name: str):
    circuit = labels(task(name)).circuit
    graph = json.loads(json.dumps(circuit.to_graph_json()))
    n_layers, n_heads = circuit.config.n_layers, circuit.config.n_heads
    assert list(graph) == ["cfg", "nodes", "edges"]
    assert graph["cfg"] == {"n_layers": n_layers, "n_heads": n_heads, "parallel_attn_mlp": False, "d_model": 8}
    heads_and_mlps = [f"a{n}.h{h}" for n in range(n_layers) for h in range(n_heads)] + [
        f"m{n}" for n in range(n_layers)
    ]
    assert set(graph["nodes"]) == {"input", "logits", *heads_and_mlps}
    assert all(set(node) == {"in_graph"} for node in graph["nodes"].values())
    assert {node for node, entry in graph["nodes"].items() if entry["in_graph"]} == {
        "input",
        "logits",
        *circuit.unit_of,
    }
    assert sorted(graph["edges"]) == sorted(eap_graph_edges(n_layers, n_heads))
    for entry in graph["edges"].values():
        assert set(entry) == {"score", "in_graph"}
        assert type(entry["in_graph"]) is bool and entry["score"] == float(entry["in_graph"])
    inside = {edge.replace("tok_embed", "input").replace("pos_embed", "input") for edge in map(str, circuit.carries)}
    assert {edge for edge, entry in graph["edges"].items() if entry["in_graph"]} == inside


def test_labels_do_not_depend_on_the_pairs_that_find_what_is_vacuous():
    for name in ("reverse", "sort_by_key", "first_token_everywhere"):
        assert exclusions(task(name)).keys() == exclusions(task(name), 4096).keys()
