"""Candidates that take the places of others, by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.interchange import Pairs
from siit.training.objective import Candidates
from siit.training.objective.draws import Replacement
from siit.training.objective.hardest import SHARE
from siit.training.objective.interventions import Drawn
from tests.builders import objectives


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def numbered(first: int, count: int) -> tuple[Pairs, Drawn]:
    """Pairs of three positions, each filled with a number of its own, and interventions that tell it everywhere."""
    number = torch.arange(first, first + count)
    wide = number.unsqueeze(1).expand(count, 3)
    pairs = Pairs(wide, -wide)
    replacement = Replacement(number.float().unsqueeze(0), number.float().expand(2, count), number, number)
    drawn = dataclasses.replace(objectives.by_number(pairs), choice=number, constant=odd(number).unsqueeze(0))
    return pairs, dataclasses.replace(
        drawn, source_positions=wide, off_positions=wide, shifted=wide, replacement=replacement
    )


def odd(number: Int[Tensor, "..."]) -> Bool[Tensor, "..."]:
    return number % 2 == 1


def numbers_of(drawn: Drawn) -> list[list[int]]:
    """The number that each field tells, of each example."""
    own, positions = drawn.replacement, (drawn.source_positions, drawn.off_positions, drawn.shifted)
    parts = (own.nodes[0], *own.edges, own.ablation, own.single)
    return [values.tolist() for values in (drawn.choice, *parts, *(wide[:, 0] for wide in positions))]


def test_the_hardest_come_first_with_all_their_interventions():
    pairs, drawn = numbered(0, 2000)
    candidates = Candidates(*numbered(5000, 400), loss=torch.arange(400) % 100 + torch.arange(400) / 1000)
    replaceable = torch.arange(2000) % 2 == 0
    found, its = candidates.replace(pairs, drawn, replaceable, seeded())
    new = found.base[:, 0] >= 5000
    assert found.fresh is not None and torch.equal(found.fresh, ~new)
    assert found.interchangeable is None
    assert torch.equal(found.base[~new], pairs.base[~new]) and torch.equal(found.source, -found.base)
    assert not bool((new & ~replaceable).any())
    # More places than candidates: all of these are taken, each once, and what is left stays.
    hardest_first = sorted(range(400), key=lambda number: -(number % 100 + number / 1000))
    assert found.base[new, 0].tolist() == [5000 + number for number in hardest_first]
    assert all(numbers == found.base[:, 0].tolist() for numbers in numbers_of(its))
    assert torch.equal(its.constant[0], odd(found.base[:, 0]))


def test_half_of_what_may_make_room_does():
    pairs, drawn = numbered(0, 8000)
    candidates = Candidates(*numbered(10_000, 8000), loss=torch.zeros(8000))
    everywhere = torch.ones(8000, dtype=torch.bool)
    found, _ = candidates.replace(
        dataclasses.replace(pairs, fresh=pairs.base[:, 0] % 4 > 0), drawn, everywhere, seeded()
    )
    new = found.base[:, 0] >= 10_000
    assert new.double().mean().item() == pytest.approx(SHARE, abs=0.02)
    assert found.fresh is not None and torch.equal(found.fresh, ~new & (pairs.base[:, 0] % 4 > 0))


def test_pairs_that_may_not_be_interchanged_stay_so():
    pairs, drawn = numbered(0, 100)
    new, its = numbered(500, 100)
    candidates = Candidates(dataclasses.replace(new, interchangeable=new.base[:, 0] % 3 > 0), its, torch.zeros(100))
    found, _ = candidates.replace(pairs, drawn, torch.ones(100, dtype=torch.bool), seeded())
    assert found.interchangeable is not None
    number = found.base[:, 0]
    assert torch.equal(found.interchangeable, (number < 500) | (number % 3 > 0))
