"""Holds a program under construction: its random numbers, its inputs, its variables' names and roles."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tracr.rasp import rasp

from siit.causal import Scalar

Item = TypeVar("Item")
LETTERS = "abcdefgh"
MAX_LENGTHS = (5, 9)
"""Fewest and most tokens that the largest length of a program is drawn from."""


@dataclass(frozen=True, eq=False)
class Value:
    """A categorical sequence that further steps can read.

    Attributes:
        sop: computes it.
        values: what it can hold, ascending.
        words: how roles speak of it.
    """

    sop: rasp.SOp
    values: tuple[Any, ...]
    words: str

    @property
    def is_flag(self) -> bool:
        """Tells flags, which are True or False, from other values."""
        return all(isinstance(value, bool) for value in self.values)

    @property
    def is_number(self) -> bool:
        """Tells integers from letters and flags."""
        return all(isinstance(value, int) and not isinstance(value, bool) for value in self.values)

    def like(self, other: Value) -> bool:
        """Tells whether both are flags, numbers, or letters, so that they can be compared."""
        return self.is_flag == other.is_flag and self.is_number == other.is_number


class Draft:
    """What one draw has fixed so far.

    Args:
        draw: the only source of randomness.
    """

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.max_len = draw.randint(*MAX_LENGTHS)
        # Tracr cannot assemble a head whose values are more than its keys, which are positions and BOS at least.
        size = draw.randint(3, min(len(LETTERS), self.max_len + 1))
        self.vocab: tuple[Scalar, ...] = tuple(LETTERS[:size]) if draw.random() < 0.5 else tuple(range(size))
        self.min_len = 3
        self.tokens = Value(rasp.tokens, self.vocab, "the token")
        self.indices = Value(rasp.indices, tuple(range(self.max_len)), "the position")
        self.made: list[Value] = []
        self.roles: dict[str, str] = {}

    def name(self, wanted: str, role: str) -> str:
        """Gives a variable the name `wanted`, with a number where another has it, and keeps its role."""
        name, number = wanted, 1
        while name in self.roles:
            number += 1
            name = f"{wanted}_{number}"
        self.roles[name] = role
        return name

    def add(self, sop: rasp.SOp, values: Sequence[Any], wanted: str, role: str) -> Value:
        """Names a step, so that roles can speak of it and later steps read it."""
        name = self.name(wanted, role)
        value = Value(sop.named(name), tuple(values), name)
        self.made.append(value)
        return value

    def map(self, f: Callable[[Any], Scalar], x: Value, wanted: str, role: str) -> Value:
        """Adds a pointwise function of one value."""
        return self.add(rasp.Map(f, x.sop), image(f(value) for value in x.values), wanted, role)

    def combine(self, f: Callable[[Any, Any], Scalar], x: Value, y: Value, wanted: str, role: str) -> Value:
        """Adds a pointwise function of two values."""
        values = image(f(a, b) for a in x.values for b in y.values)
        return self.add(rasp.SequenceMap(f, x.sop, y.sop), values, wanted, role)

    def few_of(self, x: Value) -> tuple[list[Any], str]:
        """Draws at most half of the values that x can hold, and puts them in words."""
        chosen = sorted(self.draw.sample(x.values, self.draw.randint(1, len(x.values) // 2)))
        return chosen, " or ".join(map(repr, chosen))

    def shuffled(self, items: Sequence[Item], weights: Sequence[float]) -> list[Item]:
        """Shuffles items, those of larger weight rather first."""
        keys = [self.draw.random() ** (1 / weight) for weight in weights]
        order = sorted(range(len(items)), key=lambda index: -keys[index])
        return [items[index] for index in order]


def image(values: Iterable[Any]) -> tuple[Any, ...]:
    """Lists the different values, ascending."""
    return tuple(sorted(set(values), key=lambda value: (isinstance(value, str), value)))
