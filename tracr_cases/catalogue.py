"""The table of cases: what a RASP program needs to become a task."""

from __future__ import annotations

import difflib
import importlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tracr.rasp import rasp

Token = str | int | float | bool
FAMILIES = (
    "pointwise",
    "counting",
    "arithmetic",
    "comparison",
    "reordering",
    "sorting",
    "text",
    "patterns",
    "brackets",
    "retrieval",
    "segments",
    "statistics",
    "extremes",
    "windows",
    "automata",
    "numbers",
    "ordering",
)
"""Families of programs; each is a module of this package."""


@dataclass(frozen=True)
class Case:
    """A RASP program as a task.

    Attributes:
        name: unique in the catalogue.
        make: builds the program.
        vocab: the tokens, in the order of their ids.
        max_len: the largest number of tokens, BOS not counted; the smallest is `min_len`.
        family: the module that it lives in.
        description: what the program computes, one sentence.
        causal: whether no position depends on later ones, so that it is trained with causal attention.
        none_is_answer: whether None, where the program's last map gives it for defined values, is an answer (a class
            of its own, learnt and scored) rather than an undefined output.
        interpbench_id: the task's id in InterpBench, where there is one.
        roles: variable -> what it holds, in the words of a researcher.
        sampler: how inputs are drawn, see `siit.tasks.samplers`.
        balanced: whether rare answers are drawn as often as others, see `siit.tasks.balance`.
        rearranged: whether half of the sources are the base in another order, see `siit.tasks.pairs`.
    """

    name: str
    make: Callable[[], rasp.SOp]
    vocab: tuple[Token, ...]
    max_len: int
    family: str
    description: str
    causal: bool = False
    none_is_answer: bool = False
    interpbench_id: str | None = None
    min_len: int = 3
    roles: Mapping[str, str] = field(default_factory=dict)
    sampler: str = "uniform"
    balanced: bool = False
    rearranged: bool = False

    def expression(self) -> rasp.SOp:
        """The program, with labels that do not depend on what was built before.

        Tracr tells expressions apart by numbers that are given at first use and kept. What several programs share
        (a selector of a module's own) would keep an old number, which a new expression could be given again.
        """
        rasp.RASPExpr._ids = itertools.count(1)
        program = self.make()
        if isinstance(program, rasp.RASPExpr):
            _forget_numbers(program)
        return program

    def run(self, tokens: Sequence[Token]) -> list[Any]:
        """The RASP program's output, None where it is undefined or where None is the answer.

        Raises:
            ValueError: for tokens outside the vocabulary, or too many of them.
        """
        strange = [token for token in tokens if token not in self.vocab]
        if strange:
            raise ValueError(f"{self.name}: token {strange[0]!r} is not in its vocabulary {list(self.vocab)}")
        if not self.min_len <= len(tokens) <= self.max_len:
            raise ValueError(f"{self.name}: found {len(tokens)} tokens, accepted are {self.min_len} to {self.max_len}")
        return list(self.expression()(list(tokens)))


def _forget_numbers(program: rasp.RASPExpr) -> None:
    parts, seen = [program], set()
    while parts:
        part = parts.pop()
        if id(part) not in seen:
            seen.add(id(part))
            vars(part).pop("unique_id", None)
            parts.extend(part.children)


_CASES: dict[str, Case] = {}


def add(case: Case) -> None:
    """Adds a case to the catalogue.

    Raises:
        ValueError: for a name that is taken.
    """
    if case.name in _CASES:
        raise ValueError(f"case {case.name!r} is registered twice")
    _CASES[case.name] = case


def register(
    *,
    vocab: Sequence[Token],
    max_len: int,
    description: str,
    causal: bool = False,
    none_is_answer: bool = False,
    interpbench_id: str | None = None,
    roles: Mapping[str, str] | None = None,
    sampler: str = "uniform",
    balanced: bool = False,
    rearranged: bool = False,
) -> Callable[[Callable[[], rasp.SOp]], Callable[[], rasp.SOp]]:
    """Decorates a function that builds a program: adds it to the catalogue.

    The case has the function's name, and the family of its module.

    Args:
        vocab: the tokens, in the order of their ids.
        max_len: the largest number of tokens, BOS not counted.
        description: what the program computes, one sentence.
        causal: whether no position depends on later ones, so that it is trained with causal attention.
        none_is_answer: whether None, where the program's last map gives it for defined values, is an answer.
        interpbench_id: the task's id in InterpBench, where there is one.
        roles: variable -> what it holds, in the words of a researcher; None: nothing is said.
        sampler: how inputs are drawn, see `siit.tasks.samplers`.
        balanced: whether rare answers are drawn as often as others, see `siit.tasks.balance`.
        rearranged: whether half of the sources are the base in another order, see `siit.tasks.pairs`.

    Returns:
        The decorator, which leaves the function as it is. It raises ValueError for a name that is taken.
    """

    def add_program(make: Callable[[], rasp.SOp]) -> Callable[[], rasp.SOp]:
        case = Case(
            name=make.__name__,
            make=make,
            vocab=tuple(vocab),
            max_len=max_len,
            family=make.__module__.rpartition(".")[2],
            description=description,
            causal=causal,
            none_is_answer=none_is_answer,
            interpbench_id=interpbench_id,
            roles=dict(roles or {}),
            sampler=sampler,
            balanced=balanced,
            rearranged=rearranged,
        )
        add(case)
        return make

    return add_program


@cache
def _load() -> dict[str, Case]:
    for family in FAMILIES:
        importlib.import_module(f"tracr_cases.{family}")
    return dict(sorted(_CASES.items()))


def names() -> list[str]:
    """All cases' names, sorted."""
    return list(_load())


def get(name: str) -> Case:
    """The case of that name.

    Raises:
        KeyError: with the nearest names.
    """
    cases = _load()
    if name not in cases:
        near = difflib.get_close_matches(name, cases, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise KeyError(f"case: found {name!r}; {hint}`python -m siit.cases` lists all {len(cases)} programs")
    return cases[name]
