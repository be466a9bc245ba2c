"""Labels are derived again: what does not follow from causal model and alignment is named."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from siit.graph import Circuit, Edge
from siit.interchange.alignment import AlignmentConfig, derive_labels, draw_alignment
from siit.verification.labels import derived_labels, differences, placement
from tests.builders.ioi import task as ioi_task
from tests.builders.programs import NAMES, labels, task


def found(name: str, **changes: Any) -> list[str]:
    """What a verifier says of a true circuit with changes."""
    circuit = labels(task(name)).circuit
    changed = dataclasses.replace(circuit, **changes)
    return list(differences(changed, derived_labels(changed, task(name).model).circuit))


@pytest.mark.parametrize("name", NAMES)
def test_true_labels_follow(name: str):
    assert found(name) == []
    circuit = labels(task(name)).circuit
    again = Circuit.from_json(circuit.to_json(), circuit.config)
    assert list(differences(again, derived_labels(again, task(name).model).circuit)) == []


@pytest.mark.parametrize(("name", "with_mlp"), [("ioi", 2), ("ioi_full", 3)])
def test_heads_and_the_mlp_of_one_variable_are_found_again(name: str, with_mlp: int):
    subject = ioi_task(name)
    circuit = labels(subject).circuit
    drawn = draw_alignment(subject.model, circuit.config, AlignmentConfig(), 0)
    assert placement(circuit, subject.model) == drawn
    assert [len(nodes) for nodes in drawn.values() if nodes[-1].startswith("m")] == [3] * with_mlp
    assert list(differences(circuit, derived_labels(circuit, subject.model).circuit)) == []


def test_each_high_level_edge_that_nothing_carries_is_named():
    circuit = labels(task("frac_prevs")).circuit
    for edge in circuit.carries:
        with pytest.raises(ValueError, match=f"edges: found none that carries {circuit.carries[edge]}, accepted"):
            found("frac_prevs", carries={e: n for e, n in circuit.carries.items() if e != edge})


def test_one_of_several_edges_that_carry_the_same_may_be_left_out_and_not_the_last():
    """Whether it carries anything is measured, as of all that is off the circuit."""
    subject = task("frac_prevs")
    whole = labels(subject).circuit
    wide = derive_labels(subject.model, whole.config, {"is_x": ("m0",), "frac_prevs": ("a1.h0", "a1.h1")}).circuit
    keys = [edge for edge, name in wide.carries.items() if name == "indices->frac_prevs<k>"]
    assert len(keys) == 2
    for edge in keys:
        silent = dataclasses.replace(wide, carries={e: n for e, n in wide.carries.items() if e != edge})
        derived = derived_labels(silent, subject.model).circuit
        (line,) = differences(silent, derived)
        reason = "other edges carry all of indices->frac_prevs<k>"
        assert line == f"idle: {edge}: found None, accepted is {reason!r}"
        narrow = dataclasses.replace(silent, idle={str(edge): reason})
        assert list(differences(narrow, derived)) == []
        assert edge in narrow.off_edges
    none = dataclasses.replace(wide, carries={e: n for e, n in wide.carries.items() if e not in keys})
    with pytest.raises(ValueError, match="found none that carries indices->frac_prevs<k>"):
        derived_labels(none, subject.model)


def test_a_head_that_no_edge_leads_from_is_no_member():
    subject = task("frac_prevs")
    whole = labels(subject).circuit
    wide = derive_labels(subject.model, whole.config, {"is_x": ("m0",), "frac_prevs": ("a1.h0", "a1.h1")}).circuit
    unread = dataclasses.replace(wide, carries={e: n for e, n in wide.carries.items() if e.sender != "a1.h1"})
    first = next(differences(unread, derived_labels(unread, subject.model).circuit))
    assert first.startswith(
        "alignment: found is_x: m0, frac_prevs: a1.h0 a1.h1, accepted is is_x: m0, frac_prevs: a1.h0"
    )


def test_a_node_that_reads_nothing_over_the_circuit_is_no_member():
    """However much it moves the output: what it says has nothing to do with its variable."""
    subject = task("frac_prevs")
    whole = labels(subject).circuit
    wide = derive_labels(subject.model, whole.config, {"is_x": ("m0",), "frac_prevs": ("a1.h0", "a1.h1", "m1")}).circuit
    for node, slots in (("a1.h1", "v"), ("m1", (None,))):
        starved = {edge: n for edge, n in wide.carries.items() if not (edge.receiver == node and edge.slot in slots)}
        circuit = dataclasses.replace(wide, carries=starved)
        first = next(differences(circuit, derived_labels(circuit, subject.model).circuit))
        nodes = [each for each in ("a1.h0", "a1.h1", "m1") if each != node]
        assert first.startswith("alignment: found is_x: m0, frac_prevs: a1.h0 a1.h1 m1, accepted is is_x: m0")
        assert first.endswith(f"frac_prevs: {' '.join(nodes)}")


def test_each_off_circuit_edge_put_on_it_is_named():
    circuit = labels(task("frac_prevs")).circuit
    for edge in circuit.off_edges_of_members:
        for name in (None, *set(circuit.carries.values())):
            (line,) = found("frac_prevs", carries={**circuit.carries, edge: name})
            assert line.startswith(f"edges: found {edge} on the circuit")


def test_an_edge_under_another_name():
    circuit = labels(task("frac_prevs")).circuit
    edge, name = next(iter(circuit.carries.items()))
    (line,) = found("frac_prevs", carries={**circuit.carries, edge: None})
    assert line == f"edges: found {edge} carrying None instead of {name!r}"


@pytest.mark.parametrize("field", ["roles", "programs", "variables"])
def test_words_that_lie(field: str):
    circuit = labels(task("frac_prevs")).circuit
    words = dict(getattr(circuit, field))
    first = next(iter(words))
    words[first] = {"kind": "numerical"} if field == "variables" else "something else"
    (line,) = found("frac_prevs", **{field: words})
    assert line.startswith(f"{field}: {first}: found")


@pytest.mark.parametrize(
    ("alignment", "message"),
    [
        ({"is_x": ("m0",)}, r"found no nodes for frac_prevs"),
        ({"is_x": ("m0",), "frac_prevs": ("m1",)}, r"frac_prevs: found m1, accepted for frac_prevs is a head"),
        ({"is_x": ("a0.h0",), "frac_prevs": ("a1.h0",)}, r"is_x: found a0.h0, accepted for is_x is an MLP"),
        ({"is_y": ("m0",), "frac_prevs": ("a1.h0",)}, r"found a unit 'is_y', accepted are units of"),
        ({"is_x+frac_prevs": ("m0",)}, r"is_x\+frac_prevs: found m0, accepted for frac_prevs is a head"),
    ],
)
def test_alignments_that_cannot_be(alignment: dict[str, tuple[str, ...]], message: str):
    circuit = Circuit(labels(task("frac_prevs")).circuit.config, alignment, {Edge("tok_embed", "logits"): None})
    with pytest.raises(ValueError, match=message):
        placement(circuit, task("frac_prevs").model)


def test_an_exclusion_of_what_does_not_exist():
    circuit = labels(task("frac_prevs")).circuit
    with pytest.raises(ValueError, match="excluded: found 'is_y', accepted are variables and edges"):
        derived_labels(dataclasses.replace(circuit, excluded={"is_y": "never changes"}), task("frac_prevs").model)
