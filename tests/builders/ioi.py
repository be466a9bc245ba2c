"""Makes sentences as lists of words, and tells what the causal models hold there, in plain Python without tensors."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from torch import Tensor

from siit.causal import CausalModel, Inputs, Run
from siit.training.configuration.overrides import case_settings
from siit.training.fit.plan import Plan, plan_for
from siit.training.ioi.task import IOITask, make_ioi_task
from siit.training.ioi.templates import HELD_OUT_TEMPLATES, TEMPLATES
from siit.training.ioi.words import NAMES, OBJECTS, PLACES
from tests.builders.programs import encode

AMBIGUOUS = "ambiguous"
"""Several different values were found; None stands for nothing found."""
Values = Sequence[Any]


@cache
def task(name: str = "ioi") -> IOITask:
    """Makes the task of a case, with the tokenizer of whole words."""
    return make_ioi_task(name, "words")


@cache
def plan(name: str) -> Plan:
    """Makes the plan of a case as the command line would: a few seconds, most of them for its inert parts."""
    return plan_for(task(name), case_settings(name))


@dataclass(frozen=True)
class Sentence:
    """Fills in a template; the subject is the second name, or the first one."""

    template: str
    subject_is_first: bool
    a: str
    b: str
    place: str = "store"
    thing: str = "drink"

    @property
    def subject(self) -> str:
        return self.a if self.subject_is_first else self.b

    @property
    def indirect_object(self) -> str:
        return self.b if self.subject_is_first else self.a

    @property
    def words(self) -> list[str]:
        fillers = {"a": self.a, "b": self.b, "s": self.subject, "place": self.place, "object": self.thing}
        return self.template.format(**fillers).split()


def sentences(seed: int, each: int = 1) -> Iterator[Sentence]:
    """Draws sentences of every template, held-out ones too, in both orders."""
    draw = random.Random(seed)
    for template in (*TEMPLATES, *HELD_OUT_TEMPLATES):
        for subject_is_first in (False, True) * each:
            a, b = draw.sample(NAMES, 2)
            yield Sentence(template, subject_is_first, a, b, draw.choice(PLACES), draw.choice(OBJECTS))


def swapped_roles(base: Sentence) -> Sentence:
    """Turns Mary and John ... John into John and Mary ... Mary: the names in each other's places."""
    return replace(base, a=base.b, b=base.a)


def other_order(base: Sentence) -> Sentence:
    """Turns Mary and John ... John into Mary and John ... Mary."""
    return replace(base, subject_is_first=not base.subject_is_first)


def other_object(base: Sentence, name: str) -> Sentence:
    """Turns Mary and John ... John into Anna and John ... John."""
    return replace(base, b=name) if base.subject_is_first else replace(base, a=name)


def other_subject(base: Sentence, name: str) -> Sentence:
    """Turns Mary and John ... John into Mary and Anna ... Anna."""
    return replace(base, a=name) if base.subject_is_first else replace(base, b=name)


def other_names(base: Sentence, a: str, b: str) -> Sentence:
    """Turns Mary and John ... John into Anna and Paul ... Paul."""
    return replace(base, a=a, b=b)


def sources(base: Sentence, seed: int) -> dict[str, Sentence]:
    """Draws one source of every kind; its place and object are others too."""
    draw = random.Random(seed)
    first, second = draw.sample([name for name in NAMES if name not in (base.a, base.b)], 2)
    changed = replace(base, place=draw.choice(PLACES), thing=draw.choice(OBJECTS))
    return {
        "roles": swapped_roles(changed),
        "order": other_order(changed),
        "object": other_object(changed, first),
        "subject": other_subject(changed, first),
        "names": other_names(changed, first, second),
    }


def inputs(model: CausalModel, chosen: Sequence[Sentence]) -> Inputs:
    return Inputs(encode(model, *(sentence.words for sentence in chosen)))


def read(model: CausalModel, run: Run, name: str, row: int, length: int) -> list[Any]:
    """Reads what a variable holds at the words of one sentence."""
    values = model.variables[name].values
    assert values is not None
    special = {-1: None, -2: AMBIGUOUS}
    ids: list[int] = run.values[name][row, 1 : length + 1].tolist()
    return [special[index] if index < 0 else values[index] for index in ids]


def answer(model: CausalModel, run: Run, row: int, length: int) -> Any:
    """Reads the answer at the last word, None where it is undefined, and asserts that nothing else is scored."""
    scored = run.scored[row].tolist()
    assert not any(scored[:length]) and not any(scored[length + 1 :])
    assert model.classes is not None
    return model.classes[int(run.output[row, length])] if scored[length] else None


def words_of(tokens: Tensor) -> list[list[str]]:
    """Turns ids of the word tokenizer into words, BOS and PAD left out."""
    vocab = task().model.vocab
    return [[str(vocab[index]) for index in row if index < len(vocab)] for row in tokens.tolist()]


def _common(values: Sequence[Any]) -> Any:
    """Gives what all of them are."""
    if not values:
        return None
    return values[0] if all(value == values[0] for value in values) else AMBIGUOUS


class Reference:
    """Computes all variables of a sentence, in plain Python.

    Args:
        words: of the sentence.
        variables: variable -> what it holds instead of its own values.
        edges: name of an edge -> what is read along it.
        places: of the words, where they are not 0, 1, 2, ...
    """

    def __init__(
        self,
        words: Sequence[str],
        variables: Mapping[str, Values] | None = None,
        edges: Mapping[str, Values] | None = None,
        places: Sequence[int] | None = None,
    ) -> None:
        self.slots = range(len(words))
        self.values: dict[str, Values] = {"tokens": words, "indices": list(self.slots) if places is None else places}
        self.edges = edges or {}
        self.replaced = variables or {}
        for name in ("previous", "duplicate", "induction", "s_inhibition", "s_position"):
            self.values[name] = self._held(name)

    def _held(self, name: str) -> Values:
        return self.replaced.get(name) or [getattr(self, f"_{name}")(slot) for slot in self.slots]

    def name_mover(self, case: str) -> Values:
        """Gives the answer at every word."""
        if "name_mover" in self.replaced:
            return self.replaced["name_mover"]
        at = self._least_inhibited if case == "ioi_full" else self._not_inhibited
        return [at(slot) for slot in self.slots]

    def _read(self, parent: str, child: str, slot: str) -> Values:
        return self.edges.get(f"{parent}->{child}<{slot}>", self.values[parent])

    def _previous(self, slot: int) -> Any:
        query, key = self._read("indices", "previous", "q"), self._read("indices", "previous", "k")
        before = [other for other in range(slot + 1) if key[other] == query[slot] - 1]
        return _common([self._read("tokens", "previous", "v")[other] for other in before])

    def _duplicate(self, slot: int) -> Any:
        query, key, value = (self._read("tokens", "duplicate", part) for part in "qkv")
        mentions = [other for other in range(slot + 1) if key[other] == query[slot] and query[slot] in NAMES]
        return _common([value[other] for other in mentions]) if len(mentions) >= 2 else None

    def _induction(self, slot: int) -> Any:
        query, key = self._read("tokens", "induction", "q"), self._read("previous", "induction", "k")
        value = self._read("indices", "induction", "v")
        after = [other for other in range(slot + 1) if key[other] == query[slot] and query[slot] in NAMES]
        return _common([value[other] for other in after])

    def _s_inhibition(self, slot: int) -> Any:
        return self._only("duplicate", "s_inhibition", slot)

    def _s_position(self, slot: int) -> Any:
        key = [held for held in self._read("induction", "s_position", "k")[: slot + 1] if held not in (None, AMBIGUOUS)]
        return self._only("induction", "s_position", slot, {max(key)} if key else set())

    def _only(self, parent: str, child: str, slot: int, kept: set[int] | None = None) -> Any:
        """Gives what is read where something is held, or where it is one of `kept`."""
        key, value = self._read(parent, child, "k")[: slot + 1], self._read(parent, child, "v")
        if AMBIGUOUS in key:
            return AMBIGUOUS
        found = [at for at, held in enumerate(key) if held is not None and (kept is None or held in kept)]
        return _common([value[at] for at in found])

    def _not_inhibited(self, slot: int) -> Any:
        query = self._read("s_inhibition", "name_mover", "q")[slot]
        if query in (None, AMBIGUOUS):
            return query
        key, value = (self._read("tokens", "name_mover", part) for part in "kv")
        others = [other for other in range(slot + 1) if key[other] in NAMES and key[other] != query]
        return _common([value[other] for other in others])

    def _least_inhibited(self, slot: int) -> Any:
        name = self._read("s_inhibition", "name_mover", "q")[slot]
        after = self._read("s_position", "name_mover", "q")[slot]
        if AMBIGUOUS in (name, after):
            return AMBIGUOUS
        if None in (name, after):
            return None
        key, value = (self._read("tokens", "name_mover", part) for part in "kv")
        place = self._read("indices", "name_mover", "k")
        mentions = [other for other in range(slot + 1) if key[other] in NAMES]
        if not (name in [key[other] for other in mentions] and after - 1 in [place[other] for other in mentions]):
            return AMBIGUOUS
        least = min(mentions, key=lambda other: ((key[other] == name) + 2 * (place[other] == after - 1), place[other]))
        return value[least]
