"""Attacked examples, by hand: which come again, with what replaced, and how long they stay."""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from siit.interchange import Pairs
from siit.interchange.interventions import NONE
from siit.training.objective import AblationDraw, Adversary, InterchangeDraw, OffCircuitDraw, Term
from siit.training.objective.adversary import ASCENTS, SHOWINGS, ascended
from siit.training.objective.draws import RESAMPLE, ZERO, Replacement
from siit.training.objective.interventions import Drawn
from tests.builders import objectives

SIZE, BATCH, NODES, EDGES = 2, 6, 1, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(first: int) -> tuple[Pairs, Drawn]:
    """Pairs of three positions, each filled with a number of its own; nothing is replaced."""
    numbers = torch.arange(first, first + BATCH).unsqueeze(1).expand(BATCH, 3)
    pairs = Pairs(numbers, -numbers)
    drawn = objectives.by_number(pairs)
    nothing = torch.zeros(NODES + EDGES, BATCH, dtype=torch.bool)
    number = torch.arange(first, first + BATCH)
    replacement = Replacement(nothing[:NODES], nothing[NODES:], number % 4, number)
    return pairs, dataclasses.replace(drawn, constant=nothing[:0], replacement=replacement)


def take(
    adversary: Adversary, first: int, gradient: list[float], wrong: list[int] | None = None
) -> tuple[Pairs, Drawn]:
    """One step: the batch as the adversary changed it; then all examples' masks have these gradients."""
    pairs, drawn = adversary.replace_last(*batch(first))
    nodes, edges = drawn.replacement.nodes, drawn.replacement.edges
    nodes.grad, edges.grad = (
        part.unsqueeze(1).expand(-1, BATCH) for part in torch.tensor(gradient).split([NODES, EDGES])
    )
    answered = torch.tensor([row in (wrong or []) for row in range(BATCH)])
    adversary.ascend(pairs, drawn, answered, seeded())
    return pairs, drawn


def replaced(drawn: Drawn) -> list[list[float]]:
    return torch.cat([drawn.replacement.nodes, drawn.replacement.edges]).T.tolist()


def adversary() -> Adversary:
    return Adversary(SIZE, positions=3, n_constant=0, n_nodes=NODES, n_edges=EDGES)


def test_the_first_step_is_as_it_was_drawn():
    pairs, drawn = take(adversary(), 10, [1.0, 1.0, 1.0])
    expected, as_drawn = batch(10)
    assert torch.equal(pairs.base, expected.base) and pairs.fresh is not None and bool(pairs.fresh.all())
    assert torch.equal(drawn.choice, as_drawn.choice) and torch.equal(
        drawn.replacement.single, as_drawn.replacement.single
    )


def test_the_first_examples_come_again_at_the_end_under_what_their_gradients_name():
    attacks = adversary()
    take(attacks, 7, [3.0, -3.0, 3.0])
    pairs, drawn = take(attacks, 20, [0.0, 0.0, 0.0])
    assert pairs.base[:, 0].tolist() == [20, 21, 22, 23, 7, 8] and torch.equal(pairs.source, -pairs.base)
    assert pairs.fresh is not None and pairs.fresh.tolist() == [True] * 4 + [False] * 2
    assert replaced(drawn) == [[0, 0, 0]] * 4 + [[1, 0, 1]] * 2
    assert drawn.replacement.ablation[4:].tolist() == [ZERO, RESAMPLE], "the former was shifted"
    assert drawn.replacement.single.tolist() == [20, 21, 22, 23, -1, -1]
    _, as_drawn = batch(7)
    assert drawn.choice[4:].tolist() == [NONE, as_drawn.choice[1]], "every other one has no interchange"
    for name in ("source_positions", "off_positions"):
        assert torch.equal(getattr(drawn, name)[4:], getattr(as_drawn, name)[:2]), name


def test_what_stays_right_is_ascended_a_few_times_and_then_makes_room():
    attacks = adversary()
    take(attacks, 10, [1.0, 1.0, 1.0])
    for step in range(ASCENTS - 1):
        pairs, _ = take(attacks, 20 + 10 * step, [-1.0, 1.0, 1.0])
        assert pairs.base[4:, 0].tolist() == [10, 11]
    pairs, drawn = take(attacks, 50, [1.0, 1.0, 1.0])
    assert pairs.base[4:, 0].tolist() == [10, 11] and replaced(drawn)[4:] == [[0, 1, 1]] * 2
    assert take(attacks, 60, [1.0, 1.0, 1.0])[0].base[4:, 0].tolist() == [50, 51]


def test_what_is_wrong_is_shown_again_as_it_was_until_it_is_right():
    attacks = adversary()
    take(attacks, 10, [1.0, 1.0, -1.0])
    for _ in range(SHOWINGS - 1):
        pairs, drawn = take(attacks, 20, [-1.0, -1.0, 1.0], wrong=[5])
        assert pairs.base[5, 0] == 11 and replaced(drawn)[5] == [1, 1, 0]
    pairs, drawn = take(attacks, 30, [-1.0, -1.0, 1.0], wrong=[5])
    assert pairs.base[5, 0] == 11 and replaced(drawn)[5] == [1, 1, 0], "shown for the last time"
    assert take(attacks, 40, [1.0, 1.0, 1.0])[0].base[5, 0] == 31


@given(st.integers(1, 9), st.integers(0, 99))
def test_each_ascent_follows_the_largest_gradients(parts: int, seed: int):
    masks = torch.rand(parts, 50, generator=seeded(seed)) < 0.5
    gradient = torch.randn(parts, 50, generator=seeded(seed + 1))
    after = ascended(masks, gradient, seeded(seed + 2))
    moved = after != masks
    assert bool((after == (gradient > 0))[moved].all()), "never against the gradient"
    against = masks != (gradient > 0)
    size = torch.where(against, gradient.abs(), 0.0)
    least = torch.where(moved, size, torch.inf).amin(0)
    largest = torch.where(against & ~moved, size, 0.0).amax(0)
    assert bool((largest <= least).all()), "none is left out for a smaller one"


def test_no_parts_no_attack():
    nothing = torch.zeros(0, 4, dtype=torch.bool)
    assert ascended(nothing, nothing.float(), seeded()).shape == (0, 4)


def test_a_masks_gradient_is_what_replacing_a_little_more_does():
    terms = {
        "all": Term(
            interchange=InterchangeDraw(none=0.5, unit=0.5),
            off_circuit=OffCircuitDraw(none=0.0, subset=1.0),
            ablation=AblationDraw(resample=0.5, zero=0.5),
        )
    }
    objective, model, task = objectives.objective_of("frac_prevs", terms)
    pairs = objectives.pairs_of(task, 12, seed=1)
    drawn = objective.draw(pairs, seeded(), circuit_only=False)
    half = torch.cat([drawn.replacement.nodes, drawn.replacement.edges]).double() * 0.5
    n_nodes = len(drawn.replacement.nodes)

    def loss(masks: Tensor) -> Tensor:
        replacement = dataclasses.replace(drawn.replacement, nodes=masks[:n_nodes], edges=masks[n_nodes:])
        return objective.evaluate(model, pairs, dataclasses.replace(drawn, replacement=replacement)).loss

    masks = half.clone().requires_grad_()
    loss(masks).backward()
    assert masks.grad is not None
    step = torch.randn(masks.shape, generator=seeded(3), dtype=torch.float64) * 1e-5
    difference = (loss(half + step) - loss(half - step)) / 2
    torch.testing.assert_close((masks.grad * step).sum(), difference, rtol=1e-5, atol=1e-12)
