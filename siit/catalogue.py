"""Reads the catalogue of cases that the package ships: what each computes, and the circuit that follows from it.

Beside it lie the fingerprints of the generator's first programs. All is written by `python -m siit.training.describe`,
so that reading it needs neither Tracr nor JAX.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from siit._command_line import suggestion
from siit.graph.tiers import TIERS

FILE = Path(__file__).with_name("data") / "catalogue.json"
DRAWN_FILE = FILE.with_name("drawn.json")
IOI = "ioi"
"""The family of the cases that no program of the catalogue describes."""
_DRAWN = re.compile(rf"random-({'|'.join(TIERS)})-(0|[1-9]\d*)")


@dataclass(frozen=True)
class CaseVariable:
    """A variable of a case's causal model.

    Attributes:
        kind: `categorical` or `numerical`.
        place: `head` or `MLP`: which of them can hold it.
        layer: the earliest layer in which it can be computed.
        reads: slot (q, k or v; "" for an MLP) -> the variables and inputs that it reads there.
        role: what it holds, in words.
        in_circuit: whether it is on the circuit; what never changes is not.
    """

    name: str
    kind: str
    place: str
    layer: int
    reads: Mapping[str, list[str]]
    role: str
    in_circuit: bool


@dataclass(frozen=True)
class CaseInfo:
    """What the catalogue says of a case, with the default model.

    Attributes:
        tier: pointwise, single, composed or deep, see `siit.graph.tiers`.
        interpbench_id: the task's id in InterpBench, where there is one.
        vocab: the tokens, by id.
        min_len, max_len: numbers of tokens, BOS not counted.
        output: categorical or numerical.
        circuit_nodes: heads and MLPs of the circuit.
        circuit_edges: edges of the circuit, those from the embeddings included.
        layers: what the program needs; the default model has one more, at least 2.
        fingerprint: of the causal model; another one is another task.
        inputs: the declared input space, see `siit.tasks.declare`.
        variables: in an order of computation; the last one is the answer.
        excluded: variables and edges that are not on the circuit, each with the reason.
        program: source of the program, or of what builds the causal model.
    """

    name: str
    family: str
    tier: str
    interpbench_id: str | None
    vocab: list[Any]
    min_len: int
    max_len: int
    output: str
    circuit_nodes: int
    circuit_edges: int
    layers: int
    description: str
    fingerprint: str
    inputs: Mapping[str, Any]
    variables: list[CaseVariable]
    excluded: Mapping[str, str]
    program: str


@dataclass(frozen=True)
class DrawnProgram:
    """What tells a program that the generator drew from any other.

    Attributes:
        fingerprint: of the causal model.
        inputs: the declared input space.
        roles: variable -> what it holds, in words.
    """

    fingerprint: str
    inputs: Mapping[str, Any]
    roles: Mapping[str, str]


@cache
def catalogue() -> Mapping[str, CaseInfo]:
    """Name -> case, those of programs in the order of their names, then Indirect Object Identification."""
    read = json.loads(FILE.read_text(encoding="utf-8"))
    cases = [CaseInfo(**{**case, "variables": [CaseVariable(**v) for v in case["variables"]]}) for case in read]
    return {case.name: case for case in cases}


@cache
def drawn_programs() -> Mapping[str, DrawnProgram]:
    """Name -> program, of the generator's first seeds."""
    read = json.loads(DRAWN_FILE.read_text(encoding="utf-8"))
    return {name: DrawnProgram(**program) for name, program in read.items()}


def drawn_name(tier: str, seed: int | str) -> str:
    """Names a program of the generator's, as `case=random` composes it.

    Args:
        tier: of its circuit.
        seed: of the generator; or what Hydra puts there.
    """
    return f"random-{tier}-{seed}"


def drawn_place(name: str) -> tuple[str, int] | None:
    """Finds tier and seed in the name of a program of the generator's; None of another name."""
    found = _DRAWN.fullmatch(name)
    return None if found is None else (found[1], int(found[2]))


def is_drawn(name: str) -> bool:
    """Tells whether a name is one of the generator's, of any seed."""
    return drawn_place(name) is not None


def find_case(name: str) -> CaseInfo:
    """Finds a case by its name.

    Raises:
        KeyError: there is none; the message suggests the nearest names.
    """
    cases = catalogue()
    if name not in cases:
        raise KeyError(f"case: found {name!r}; {suggestion(name, cases)}`siit cases` lists all {len(cases)}")
    return cases[name]
