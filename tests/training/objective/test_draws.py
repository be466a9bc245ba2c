"""What is drawn: probabilities over many examples with fixed seeds, and what each mode replaces."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from siit.training.objective import N_ABLATIONS, AblationDraw, InterchangeDraw, OffCircuitDraw, Priorities
from siit.training.objective.draws import MEAN, RESAMPLE, SHIFTED, ZERO, Replacement, draw_replacement

COUNT = 20_000
WITHIN = 0.015
"""More than four standard deviations of a share of COUNT."""
NODES, EDGES = 3, 5


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shares(choice: Tensor, count: int) -> list[float]:
    assert int(choice.min()) >= 0 and int(choice.max()) < count
    return (torch.bincount(choice, minlength=count) / len(choice)).tolist()


@pytest.mark.parametrize("kind", [InterchangeDraw, OffCircuitDraw, AblationDraw])
def test_probabilities_are_checked(kind: Any):
    first, second = (field.name for field in dataclasses.fields(kind)[:2])
    for one, other in ((0.5, 0.4), (1.5, -0.5), (0.0, 0.0), (math.nan, 1.0), (math.inf, 0.0)):
        with pytest.raises(ValueError, match=rf"{kind.__name__}: found .*{first}.*accepted are probabilities that sum"):
            kind(**{first: one, second: other})
    kind()
    kind(**{first: 0.0, second: 1.0})


def test_interchanges():
    draw = InterchangeDraw(none=0.2, unit=0.3, edge=0.5)
    expected = [0.2, *[0.3 / 2] * 2, *[0.5 / 4] * 4]
    assert draw.probabilities(2, 4, torch.device("cpu")).tolist() == pytest.approx(expected)
    assert shares(draw.draw(COUNT, 2, 4, seeded()), 7) == pytest.approx(expected, abs=WITHIN)


def test_impossible_interchanges_are_never_drawn():
    assert shares(InterchangeDraw().draw(COUNT, 2, 4, seeded()), 7)[0] == 1
    assert shares(InterchangeDraw(0.0, 1.0, 0.0).draw(COUNT, 2, 4, seeded()), 7)[3:] == [0] * 4
    assert shares(InterchangeDraw(0.0, 0.0, 1.0).draw(COUNT, 2, 4, seeded()), 7)[:3] == [0] * 3


def test_impossible_choices_are_not_drawn_at_the_ends_either(monkeypatch: pytest.MonkeyPatch):
    for place, expected in ((0.0, 1), (1 - 2**-24, 2)):

        def same_place(count: int, place: float = place, **where: Any) -> Tensor:
            return torch.full((count,), place)

        monkeypatch.setattr(torch, "rand", same_place)
        assert InterchangeDraw(0.0, 1.0, 0.0).draw(1, 2, 4, seeded()).tolist() == [expected]


def test_interchanges_that_a_circuit_lacks_are_none():
    draw = InterchangeDraw(none=0.25, unit=0.25, edge=0.5)
    assert draw.probabilities(0, 2, torch.device("cpu")).tolist() == [0.5, 0.25, 0.25]
    assert draw.probabilities(1, 0, torch.device("cpu")).tolist() == [0.75, 0.25]
    assert draw.probabilities(0, 0, torch.device("cpu")).tolist() == [1.0]
    assert InterchangeDraw(0.0, 1.0, 0.0).draw(10, 0, 3, seeded()).tolist() == [0] * 10
    assert InterchangeDraw(0.0, 0.0, 1.0).draw(10, 3, 0, seeded()).tolist() == [0] * 10


def priorities_of(interchanges: list[float], singles: list[list[float]], share: float = 0.75) -> Priorities:
    return Priorities(share, torch.tensor(interchanges), torch.tensor(singles).reshape(-1, N_ABLATIONS))


def test_priorities_weigh_the_interchanges():
    priorities = priorities_of([0.1, 0.2, 0.3, 0.1, 0.1], [])
    drawn = InterchangeDraw(none=0.2, unit=0.2, edge=0.6).draw(COUNT, 2, 3, seeded(), priorities)
    expected = [0.2]
    for chance, error in zip([0.1, 0.1, 0.2, 0.2, 0.2], [0.1, 0.2, 0.3, 0.1, 0.1], strict=True):
        expected.append(0.25 * chance + 0.75 * 0.8 * error / 0.8)
    assert shares(drawn, 6) == pytest.approx(expected, abs=WITHIN)


def test_priorities_leave_out_what_is_not_drawn_at_all():
    priorities = priorities_of([0.1, 0.3, 0.3, 0.2, 0.1], [], share=1.0)
    units = InterchangeDraw(none=0.2, unit=0.8).draw(COUNT, 2, 3, seeded(), priorities)
    assert shares(units, 6) == pytest.approx([0.2, 0.2, 0.6, 0, 0, 0], abs=WITHIN)
    assert shares(InterchangeDraw().draw(COUNT, 2, 3, seeded(), priorities), 6)[0] == 1


def test_priorities_weigh_single_parts_with_their_ablation():
    ablation = AblationDraw(resample=0.75, mean=0.0, zero=0.25)
    priorities = priorities_of([], [[0.1, 0.9, 0.0, 0.9], [0.0, 0.9, 0.3, 0.9], [0.4, 0.0, 0.0, 0.9]], share=0.5)
    drawn = draw_replacement(OffCircuitDraw(0.0, one=1.0), ablation, COUNT, 1, 1, seeded(), priorities)
    # Part 0 by RESAMPLE, MEAN, ZERO, SHIFTED; part 1 likewise; both. Half by probability, half by error: an eighth is
    # 0.1 / 0.8.
    likely, rare = 0.5 * 0.25, 0.5 * 0.25 / 3
    expected = [likely + 0.5 / 8, 0, rare, 0, likely, 0, rare + 1.5 / 8, 0, likely + 0.5 / 2, 0, rare, 0]
    assert shares(drawn.single, 3 * N_ABLATIONS) == pytest.approx(expected, abs=WITHIN)
    assert torch.equal(drawn.ablation, drawn.single % N_ABLATIONS)
    parts = torch.cat([drawn.nodes, drawn.edges])
    part = drawn.single // N_ABLATIONS
    assert bool(parts[:, part == 2].all())
    assert torch.equal(parts.int().argmax(0)[part < 2], part[part < 2])
    assert set(parts[:, part < 2].sum(0).tolist()) == {1}


def test_single_parts_and_all_together_are_numbered():
    draw = OffCircuitDraw(none=0.25, all=0.25, one=0.25, one_node=0.25)
    drawn = draw_replacement(draw, AblationDraw(), 1000, NODES, EDGES, seeded())
    replaced = torch.cat([drawn.nodes, drawn.edges]).sum(0)
    part = drawn.single.div(N_ABLATIONS, rounding_mode="floor")
    assert set(replaced[(part >= 0) & (part < NODES + EDGES)].tolist()) == {1}
    assert torch.equal(part == NODES + EDGES, replaced == NODES + EDGES)
    assert set(replaced[drawn.single < 0].tolist()) == {0, 1}
    assert (drawn.single >= 0).float().mean().item() == pytest.approx(0.5, abs=0.06)


def test_ablations():
    assert (RESAMPLE, MEAN, ZERO, SHIFTED) == (0, 1, 2, 3)
    some = AblationDraw(0.4, 0.2, 0.3, 0.1).draw(COUNT, seeded())
    assert shares(some, N_ABLATIONS) == pytest.approx([0.4, 0.2, 0.3, 0.1], abs=WITHIN)
    for index in range(N_ABLATIONS):
        certain = [float(index == other) for other in range(N_ABLATIONS)]
        assert shares(AblationDraw(*certain).draw(COUNT, seeded()), N_ABLATIONS) == certain


def replacement(draw: OffCircuitDraw, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    drawn: Replacement = draw_replacement(draw, AblationDraw(), count, NODES, EDGES, generator)
    return drawn.nodes, drawn.edges


def only(mode: str, count: int = COUNT, nodes: int = NODES, edges: int = EDGES) -> tuple[Tensor, Tensor]:
    draw = OffCircuitDraw(**{"none": 0.0, mode: 1.0})
    drawn = draw_replacement(draw, AblationDraw(), count, nodes, edges, seeded())
    return drawn.nodes, drawn.edges


def test_nothing_or_everything_off_the_circuit():
    for mode, on_nodes, on_edges in (("none", False, False), ("all", True, True), ("all_nodes", True, False)):
        nodes, edges = only(mode)
        assert nodes.shape == (NODES, COUNT) and edges.shape == (EDGES, COUNT)
        assert bool((nodes == on_nodes).all()) and bool((edges == on_edges).all())


def test_one_node_off_the_circuit():
    nodes, edges = only("one_node")
    assert not edges.any()
    assert torch.equal(nodes.sum(0), torch.ones(COUNT, dtype=torch.int64))
    assert nodes.float().mean(1).tolist() == pytest.approx([1 / NODES] * NODES, abs=WITHIN)


def test_one_node_where_all_are_on_the_circuit():
    nodes, edges = only("one_node", nodes=0)
    assert not nodes.any() and not edges.any()


def test_one_part_off_the_circuit():
    parts = torch.cat(only("one"))
    size = NODES + EDGES
    # All together are as likely as each alone.
    assert shares(parts.sum(0), size + 1) == pytest.approx(
        [0, size / (size + 1), *[0] * (size - 2), 1 / (size + 1)], abs=WITHIN
    )
    assert parts.float().mean(1).tolist() == pytest.approx([2 / (size + 1)] * size, abs=WITHIN)


def test_subsets_off_the_circuit():
    nodes, edges = only("subset")
    parts = torch.cat([nodes, edges])
    # The rate is uniform, so that every size is as frequent as every other, and parts of one example go together.
    size = NODES + EDGES
    assert shares(parts.sum(0), size + 1) == pytest.approx([1 / (size + 1)] * (size + 1), abs=WITHIN)
    assert parts.float().mean(1).tolist() == pytest.approx([1 / 2] * size, abs=WITHIN)
    together = (parts[:1] & parts[1:]).float().mean(1)
    assert together.tolist() == pytest.approx([1 / 3] * (size - 1), abs=WITHIN)


def test_mixed_modes():
    draw = OffCircuitDraw(none=0.1, all=0.2, subset=0.0, all_nodes=0.3, one_node=0.4)
    nodes, edges = replacement(draw, COUNT, seeded())
    count, edge_count = nodes.sum(0), edges.sum(0)
    found = [
        ((count == 0) & (edge_count == 0)).float().mean().item(),
        ((count == NODES) & (edge_count == EDGES)).float().mean().item(),
        ((count == NODES) & (edge_count == 0)).float().mean().item(),
        ((count == 1) & (edge_count == 0)).float().mean().item(),
    ]
    assert sum(found) == pytest.approx(1)
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=WITHIN)


@pytest.mark.parametrize("mode", ["none", "all", "subset", "one", "all_nodes", "one_node"])
def test_circuits_without_anything_off_them(mode: str):
    nodes, edges = only(mode, count=4, nodes=0, edges=0)
    assert nodes.shape == edges.shape == (0, 4)


def test_the_seed_decides():
    draw = OffCircuitDraw(none=0.25, all=0.25, subset=0.5)
    one, same = (torch.cat(replacement(draw, 50, seeded(1))) for _ in range(2))
    assert torch.equal(one, same)
    assert not torch.equal(one, torch.cat(replacement(draw, 50, seeded(2))))
