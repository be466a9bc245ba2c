"""Builds causal models, tasks and labels of the catalogue's programs and of a test's own, each built once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from tracr.rasp import rasp

import tracr_cases
from siit.causal import CausalModel, Inputs, Run
from siit.graph.architecture import ModelConfig
from siit.interchange import Pairs
from siit.interchange.alignment import (
    AlignmentConfig,
    Labels,
    derive_labels,
    draw_alignment,
    heads_needed,
    program_layers,
)
from siit.interchange.capacity import needed_capacity
from siit.interchange.interventions import Interchanges, inert_parts
from siit.tasks import Task
from siit.training.rasp import task_from_case
from siit.training.rasp.agreement import outputs
from siit.training.rasp.from_rasp import build_causal_model
from tracr_cases import Case, get

EVERY = [
    pytest.param(name, marks=pytest.mark.slow if place % 12 == 0 else pytest.mark.long)
    for place, name in enumerate(tracr_cases.names())
]
"""All cases, one in twelve for the slow tests."""
NAMES = (
    "detect_abc",
    "first_token_everywhere",
    "frac_prevs",
    "histogram",
    "open_minus_close_fraction",
    "reverse",
    "reverse_if_sorted",
    "sort_digits",
)
NEUTRAL = {"indices->place"}
"""Ties broken by other positions: another rank for equal digits, the same sorted sequence."""


@cache
def causal_model(name: str) -> CausalModel:
    return build_causal_model(_case(name))


@cache
def task(name: str) -> Task:
    return task_from_case(_case(name), causal_model(name))


def _case(name: str) -> Case:
    return SORT_BY_KEY if name == SORT_BY_KEY.name else get(name)


def own(make: Callable[[], Any], vocab: Sequence[Any] = "abc", max_len: int = 4, **changes: Any) -> Case:
    """Makes a program of a test's own."""
    return Case(
        name=changes.pop("name", "own"),
        make=make,
        vocab=tuple(vocab),
        max_len=max_len,
        family="tests",
        description="",
        **changes,
    )


def _sort_by_key() -> rasp.SOp:
    sort_key = rasp.SequenceMap(lambda token, index: token * 9 + index, rasp.tokens, rasp.indices).named("sort_key")
    rank = rasp.SelectorWidth(rasp.Select(sort_key, sort_key, rasp.Comparison.LT)).named("rank")
    return rasp.Aggregate(rasp.Select(rank, rasp.indices, rasp.Comparison.EQ), rasp.tokens).named("sort_by_key")


SORT_BY_KEY = own(_sort_by_key, range(10), 9, name="sort_by_key")
"""Sorts with one head that compares keys of 90 values, read as query and as key."""


def encode(model: CausalModel, *words: Sequence[Any]) -> Tensor:
    """Makes token ids: BOS, the words, padding."""
    size = len(model.vocab)
    rows = [[size, *map(model.vocab.index, word)] for word in words]
    return torch.tensor([row + [size + 1] * (model.max_len + 1 - len(row)) for row in rows])


def run(model: CausalModel, *words: Sequence[Any]) -> Run:
    return model.run(Inputs(encode(model, *words)))


def answer(model: CausalModel, found: Run, length: int) -> list[Any]:
    """Reads the output at the first example's tokens, None where it is undefined, rounded."""
    values = [
        None if not scored else round(value, 4) if model.classes is None else model.classes[value]
        for value, scored in zip(found.output[0].tolist(), found.scored[0].tolist(), strict=True)
    ]
    assert values[0] is None, "BOS is never scored"
    assert values[length + 1 :] == [None] * (model.max_len - length), "nor is padding"
    return values[1 : length + 1]


def decoded(model: CausalModel, *words: Sequence[Any]) -> list[list[Any]]:
    """Reads the outputs of an uninterrupted run."""
    return outputs(model, encode(model, *words))


def config_for(subject: Task, **changes: Any) -> ModelConfig:
    """Makes an architecture with one layer more than the program needs, and four heads if those are enough."""
    capacity = needed_capacity(subject.model)
    sizes = {
        "n_layers": max(program_layers(subject.model, capacity.mlps).values()) + 2,
        "n_heads": max(4, heads_needed(subject.model, capacity)),
        "d_model": 8,
        "d_head": 2,
        "d_mlp": 8,
        "n_ctx": subject.n_ctx,
        "d_vocab": subject.d_vocab,
        "d_vocab_out": subject.d_vocab_out,
    }
    return ModelConfig(**{**sizes, **changes})


@cache
def exclusions(subject: Task, count: int = 1024) -> Mapping[str, str]:
    generator = torch.Generator().manual_seed(1)
    pairs = Pairs(subject.sample(count, generator), subject.sample(count, generator))
    return inert_parts(subject.model, pairs, generator)


def labels(subject: Task, nodes: Mapping[str, Sequence[str]] | None = None, seed: int = 0) -> Labels:
    """Makes the labels of an alignment that is fixed or drawn."""
    config = config_for(subject)
    alignment = draw_alignment(subject.model, config, AlignmentConfig(nodes=nodes or {}), seed)
    return derive_labels(subject.model, config, alignment, exclusions(subject))


@cache
def interchanges(name: str) -> Interchanges:
    return Interchanges(causal_model(name), labels(task(name)))


def everything() -> rasp.Select:
    return rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)


def derive(model: CausalModel, nodes: Mapping[str, Sequence[str]]) -> Labels:
    """Derives labels of a model of four layers with these nodes for its variables."""
    sizes: dict[str, Any] = dict.fromkeys(("n_heads", "d_model", "d_head", "d_mlp", "d_vocab_out"), 2)
    config = ModelConfig(n_layers=4, n_ctx=model.max_len + 1, d_vocab=len(model.vocab) + 2, **sizes)
    return derive_labels(model, config, draw_alignment(model, config, AlignmentConfig(nodes=nodes), 0))
