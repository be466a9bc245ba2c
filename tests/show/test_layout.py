"""The layout: nothing overlaps, and no edge crosses a node."""

from __future__ import annotations

import itertools

import pytest

from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit
from siit.show.layout import NOTE_LINE, Box, Point, lay_out
from tests.builders import handmade
from tests.builders.shown import large_circuit, random_bundle
from tests.builders.transformers import SIZES, some_circuit, whole_circuit

CIRCUITS = {
    "by hand": handmade.CIRCUIT,
    "12 x 12": large_circuit(),
    "2 x 12": large_circuit(2, 12),
    "units of three": random_bundle(numerical=True).circuit,
    "everything": whole_circuit(ModelConfig(**{**SIZES, "n_layers": 3, "n_heads": 3}), 0),
    "one layer": some_circuit(ModelConfig(**{**SIZES, "n_layers": 1, "n_heads": 1}), 3),
    "nothing": Circuit(ModelConfig(**{**SIZES, "n_layers": 2}), {}, {}),
    **{f"half {seed}": some_circuit(ModelConfig(**{**SIZES, "n_layers": 5, "n_heads": 4}), seed) for seed in range(4)},
}
_CLOSE = 0.02


@pytest.mark.parametrize("name", CIRCUITS)
def test_nothing_overlaps(name: str):
    layout = lay_out(CIRCUITS[name])
    for one, other in itertools.combinations(layout.boxes.values(), 2):
        apart = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert apart or abs(one.y - other.y) >= (one.height + other.height) / 2
    lines = sorted((note.y - NOTE_LINE * len((*note.lines, *note.program)), note.y) for note in layout.notes)
    assert all(high[0] - low[1] >= NOTE_LINE for low, high in itertools.pairwise(lines))
    assert max(box.x + box.width / 2 for box in layout.boxes.values()) < layout.note_x
    assert max(box.top for box in layout.boxes.values()) < layout.height
    assert min(low for low, _ in lines) > 0


@pytest.mark.parametrize("name", CIRCUITS)
def test_edges_begin_and_end_at_their_nodes_and_cross_no_other(name: str):
    circuit = CIRCUITS[name]
    layout = lay_out(circuit)
    assert layout.routes.keys() == circuit.carries.keys()
    for edge, route in layout.routes.items():
        sender, receiver = layout.boxes[edge.sender], layout.boxes[edge.receiver]
        assert route[0] == (sender.x, sender.top)
        assert route[-1][1] == receiver.bottom and abs(route[-1][0] - receiver.x) < receiver.width / 2
        points = [point for start in range(0, len(route) - 1, 3) for point in _along(*route[start : start + 4])]
        assert all(one[1] <= other[1] + 1e-9 for one, other in itertools.pairwise(points))
        for node, box in layout.boxes.items():
            assert not any(_inside(point, box) for point in points), (str(edge), node)


def _along(start: Point, one: Point, other: Point, end: Point) -> list[Point]:
    def at(t: float, axis: int) -> float:
        weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
        return sum(weight * point[axis] for weight, point in zip(weights, (start, one, other, end), strict=True))

    return [(at(step / 40, 0), at(step / 40, 1)) for step in range(41)]


def _inside(point: Point, box: Box) -> bool:
    return abs(point[0] - box.x) < box.width / 2 - _CLOSE and abs(point[1] - box.y) < box.height / 2 - _CLOSE


def test_slots_are_told_apart_by_place():
    layout = lay_out(large_circuit())
    ends = {edge: route[-1] for edge, route in layout.routes.items() if edge.receiver == "a0.h0"}
    places = [ends[edge][0] for edge in sorted(ends, key=lambda edge: "qkv".index(edge.slot or ""))]
    assert places == sorted(places) and len(set(places)) == 3


def test_edges_off_the_circuit_are_routed_too():
    circuit = CIRCUITS["half 0"]
    further = [edge for edge in circuit.off_edges if edge.sender == "m0"]
    layout = lay_out(circuit, further, notes=False)
    assert layout.routes.keys() == {*circuit.carries, *further} and layout.notes == []
    assert {layout.boxes[edge.receiver].height for edge in further} == {layout.boxes["logits"].height}
