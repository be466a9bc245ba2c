"""ReplayBuffer that take part again, by hand."""

from __future__ import annotations

import dataclasses

import torch

from siit.interchange import Pairs
from siit.training.objective import ReplayBuffer
from siit.training.objective.replay import CAPACITY
from tests.builders import objectives


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(first: int, count: int, interchangeable: bool | None = None) -> Pairs:
    """Pairs of three positions, each filled with a number of its own; the source's is negative."""
    numbers = torch.arange(first, first + count).unsqueeze(1).expand(count, 3)
    return Pairs(numbers, -numbers, None if interchangeable is None else torch.full((count,), interchangeable))


def add(buffer: ReplayBuffer, pairs: Pairs, wrong: list[bool]) -> None:
    buffer.add(pairs, objectives.by_number(pairs), torch.tensor(wrong))


def test_nothing_is_replayed_before_a_wrong_answer():
    buffer, pairs = ReplayBuffer(3), numbered(1, 50)
    buffer.add(pairs, objectives.by_number(pairs), torch.zeros(50, dtype=torch.bool))
    found = buffer.replay(pairs, 0.9, seeded()).pairs
    assert torch.equal(found.base, pairs.base) and torch.equal(found.source, pairs.source)
    assert found.fresh is not None and found.fresh.all()
    assert found.interchangeable is not None and found.interchangeable.all()


def test_wrong_pairs_take_the_place_of_a_share():
    buffer = ReplayBuffer(3)
    add(buffer, numbered(1, 4), [False, True, False, True])
    add(buffer, numbered(5, 2, interchangeable=False), [True, False])
    pairs = numbered(100, 20_000)
    found = buffer.replay(pairs, 0.25, seeded()).pairs
    fresh = found.fresh
    assert fresh is not None and found.interchangeable is not None
    assert abs(float((~fresh).float().mean()) - 0.25) < 0.01
    assert torch.equal(found.base[fresh], pairs.base[fresh]) and torch.equal(found.source, -found.base)
    numbers, counts = found.base[~fresh, 0].unique(return_counts=True)
    assert numbers.tolist() == [2, 4, 5] and counts.min() > 0.9 * counts.sum() / 3
    assert torch.equal(found.interchangeable, found.base[:, 0] != 5), "as it was added"


def test_the_oldest_pairs_go():
    buffer = ReplayBuffer(3)
    for first in range(0, CAPACITY + 40, 8):
        add(buffer, numbered(first, 8), [True, False] * 4)
    assert int(buffer.added) == (CAPACITY + 40) // 2
    for first in range(1000, 1000 + 2 * CAPACITY, 8):
        add(buffer, numbered(first, 8), [True, False] * 4)
    found = buffer.replay(numbered(0, 20_000), 0.999, seeded()).pairs
    assert found.fresh is not None
    assert set(found.base[~found.fresh, 0].tolist()) == set(range(1000, 1000 + 2 * CAPACITY, 2))


def test_of_more_than_are_kept_the_last_ones_are():
    buffer, count = ReplayBuffer(3), CAPACITY + 40
    add(buffer, numbered(0, count), [True] * count)
    assert int(buffer.added) == count
    found = buffer.replay(numbered(1000, 20_000), 0.999, seeded()).pairs
    assert found.fresh is not None
    assert set(found.base[~found.fresh, 0].tolist()) == set(range(40, count))


def test_they_are_part_of_a_checkpoint():
    buffer, again = ReplayBuffer(3), ReplayBuffer(3)
    add(buffer, numbered(1, 4), [False, True, False, True])
    again.load_state_dict(buffer.state_dict())
    first, second = (each.replay(numbered(9, 64), 0.5, seeded()) for each in (buffer, again))
    assert torch.equal(first.pairs.base, second.pairs.base) and torch.equal(first.choice, second.choice)


def test_wrong_pairs_meet_their_interchange_again():
    buffer, pairs = ReplayBuffer(3), numbered(100, 2_000)
    pairs = dataclasses.replace(pairs, fresh=pairs.base[:, 0] % 2 == 0)
    add(buffer, numbered(1, 20), [True, False] * 10)
    replayed = buffer.replay(pairs, 0.25, seeded())
    choice = torch.full((len(pairs),), 50)
    drawn = dataclasses.replace(objectives.by_number(pairs), choice=choice, source_positions=pairs.source)
    found, again = replayed.interchanged_again(drawn), replayed.again
    assert 0 < int(again.sum()) < len(pairs)
    assert pairs.fresh is not None and replayed.pairs.fresh is not None
    assert torch.equal(replayed.pairs.fresh, pairs.fresh & ~again), "neither replayed, nor drawn for a rare answer"
    assert bool((found.choice[~again] == 50).all())
    assert torch.equal(found.source_positions[~again], pairs.source[~again])
    numbers = replayed.pairs.base[again]
    assert torch.equal(found.choice[again], numbers[:, 0] % 7)
    assert torch.equal(found.source_positions[again], numbers + 1)
    assert found.shifted is drawn.shifted and found.replacement is drawn.replacement
