"""The high-level causal model: a DAG of named variables with mechanisms, run with and without interventions."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from siit._text import shortened
from siit.causal.from_json import CAUSAL_MODEL_FORMAT, ScoredAt, check_max_len, check_scored_at, read_model
from siit.causal.mechanisms import (
    INDICES,
    OUTPUT,
    TOKENS,
    UNDEFINED,
    Attention,
    Class,
    Context,
    Scalar,
    Values,
    ValueSet,
    check_mechanism,
    undefined,
)
from siit.causal.runs import Inputs, Interventions, Run
from siit.causal.variables import HighLevelEdge, Variable

LARGEST = 1 << 53
"""Whole numbers up to this are exact as floating-point ones too."""
RESERVED = ("+", "->", "<", ">", "/")
"""What joins variables' names in the names of units and edges, and these in the names of tensors."""


class CausalModel:
    """Computes an answer from the inputs `tokens` and `indices`, variable by variable.

    Args:
        vocab: the tokens, by id.
        max_len: the largest number of tokens, BOS not counted.
        variables: the hidden variables in an order of computation; the last one is the output.
        scored_at: where the answer counts: at every token at which it is defined, or at the last token only.

    Raises:
        ValueError: names the field or variable, what was found and what is accepted. Names are unique and have no sign
            that joins names of units and edges. Parents are computed before their children. No value stands twice, and
            None only among the answer's. Every mechanism passes its own check.
    """

    def __init__(
        self, vocab: Sequence[Scalar], max_len: int, variables: Sequence[Variable], scored_at: ScoredAt = "all"
    ) -> None:
        if not variables:
            raise _wrong("variables", "none", "at least one")
        self.vocab = tuple(vocab)
        self.max_len = check_max_len(max_len)
        self.scored_at = check_scored_at(scored_at)
        self.variables = {variable.name: variable for variable in variables}
        self.answer = variables[-1]
        _check_values("vocab", self.vocab, accepts_none=False)
        known: dict[str, ValueSet] = {TOKENS: self.vocab, INDICES: tuple(range(max_len))}
        ambiguous: set[str] = set()
        for variable in variables:
            self._check_variable(variable, known, frozenset(ambiguous))
            known[variable.name] = variable.values
            if variable.mechanism.knows_ambiguous:
                ambiguous.add(variable.name)

    def _check_variable(self, variable: Variable, known: Mapping[str, ValueSet], ambiguous: frozenset[str]) -> None:
        """Checks one variable against those that are computed before it."""
        name, mechanism = variable.name, variable.mechanism
        field = f"variable {name!r}"
        if name in known or name == OUTPUT:
            raise _wrong(field, "a name that is taken", f"a unique one, other than {OUTPUT!r}")
        if not name or any(sign in name for sign in RESERVED):
            raise _wrong(field, "this name", f"one without any of {' '.join(RESERVED)}, and not empty")
        if variable.values is not None:
            _check_values(f"{field}: values", variable.values, accepts_none=variable is self.answer)
        for parents in mechanism.parents.values():
            for parent in parents:
                if parent not in known:
                    found = f"parent {shortened(parent)}, which is not computed before it"
                    raise _wrong(field, found, f"one of {', '.join(sorted(known))}")
        check_mechanism(mechanism, Context(name, variable.values, known, ambiguous))

    def __repr__(self) -> str:
        steps = []
        for name, variable in self.variables.items():
            parents = variable.mechanism.parents.items()
            reads = [f"{slot} {', '.join(group)}" if slot else ", ".join(group) for slot, group in parents]
            steps.append(f"{name} = {variable.mechanism.type}({'; '.join(reads)})")
        return f"CausalModel({len(self.vocab)} tokens, up to {self.max_len}: {', '.join(steps)})"

    @property
    def classes(self) -> tuple[Class, ...] | None:
        """The output's classes by id (None may be one of them), None where it is numerical."""
        return self.answer.values

    @cached_property
    def edges(self) -> tuple[HighLevelEdge, ...]:
        """All edges, the one into `output` included, children in the order of computation."""
        return (*self._hidden_edges(), HighLevelEdge(self.answer.name, OUTPUT))

    def _hidden_edges(self) -> Iterator[HighLevelEdge]:
        for variable in self.variables.values():
            for slot, parents in variable.mechanism.parents.items():
                for parent in dict.fromkeys(parents):
                    yield HighLevelEdge(parent, variable.name, slot)

    @cached_property
    def _edge_set(self) -> frozenset[HighLevelEdge]:
        return frozenset(self.edges)

    @cached_property
    def position_only(self) -> frozenset[str]:
        """Variables that depend on positions only, `indices` included."""
        return self.position_only_without(())

    def position_only_without(self, excluded: Collection[str]) -> frozenset[str]:
        """Finds variables that depend on positions only, where excluded variables and edges (by name) never change."""
        found = {INDICES}
        parents: dict[str, set[str]] = {name: set() for name in self.variables}
        for edge in self._hidden_edges():
            if edge.parent not in excluded and str(edge) not in excluded and not self.constant(edge):
                parents[edge.child].add(edge.parent)
        for name in self.variables:
            if parents[name] and parents[name] <= found:
                found.add(name)
        return frozenset(found)

    def constant(self, edge: HighLevelEdge) -> bool:
        """Tells whether what is read there is the same in every input: which slot is the beginning of the sequence."""
        child = self.variables.get(edge.child)
        return child is not None and edge.slot in child.mechanism.constant_slots

    def to(self, device: torch.device | str) -> CausalModel:
        """Gives the same model with its tables on `device`."""
        where = torch.device(device)
        return CausalModel(
            self.vocab,
            self.max_len,
            [Variable(v.name, v.values, v.mechanism.to(where), v.description) for v in self.variables.values()],
            self.scored_at,
        )

    def run(self, inputs: Inputs, interventions: Interventions | None = None, attention: Collection[str] = ()) -> Run:
        """Computes all variables, with interventions where given.

        Edge interventions see the parent's value after interventions on the parent itself, and win over it.

        Args:
            inputs: token ids, [batch, pos], and positions.
            interventions: values for variables and edges, [batch, pos] each.
            attention: variables whose heads' patterns are asked for.

        Raises:
            ValueError: for interventions on what is no hidden variable or edge of this model.
        """
        tokens = inputs.tokens
        is_token = tokens < len(self.vocab)
        if inputs.positions is None:
            positions = torch.arange(tokens.shape[-1], device=tokens.device).expand_as(tokens)
        else:
            positions = inputs.positions
        values: dict[str, Values] = {
            TOKENS: torch.where(is_token, tokens, UNDEFINED),
            INDICES: positions - 1,
        }
        done = interventions or _NONE
        unknown = [*(done.variables.keys() - self.variables.keys()), *map(str, done.edges.keys() - self._edge_set)]
        if unknown:
            accepted = ", ".join([*self.variables, *map(str, self.edges)])
            raise ValueError(f"interventions: found {', '.join(sorted(unknown))}, accepted: {accepted}")

        def reader(child: str) -> Any:
            def read(parent: str, slot: str | None) -> Values:
                interchange = done.edges.get(HighLevelEdge(parent, child, slot)) if done.edges else None
                own = values[parent]
                return own if interchange is None else interchange.apply(own)

            return read

        patterns: dict[str, Attention] = {}
        for name, variable in self.variables.items():
            value = variable.mechanism(reader(name))
            pattern = variable.mechanism.attention(reader(name)) if name in attention else None
            if pattern is not None:
                patterns[name] = pattern
            interchange = done.variables.get(name)
            values[name] = value if interchange is None else interchange.apply(value)
        values[OUTPUT] = reader(OUTPUT)(self.answer.name, None)
        scored = is_token & ~undefined(values[OUTPUT])
        if self.scored_at == "last":
            scored = scored & ~torch.nn.functional.pad(is_token[:, 1:], (0, 1))
        return Run(values, scored, patterns)

    def to_json(self) -> dict[str, Any]:
        """Gives the model as data (`causal_model.json`)."""
        return {
            "format": CAUSAL_MODEL_FORMAT,
            "vocab": list(self.vocab),
            "max_len": self.max_len,
            **({} if self.scored_at == "all" else {"scored_at": self.scored_at}),
            "variables": [
                {
                    "name": variable.name,
                    "kind": variable.kind,
                    "values": None if variable.values is None else list(variable.values),
                    "description": variable.description,
                    "mechanism": variable.mechanism.to_json(),
                }
                for variable in self.variables.values()
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CausalModel:
        """Reads what `to_json` wrote.

        Args:
            data: the content of `causal_model.json`.

        Raises:
            ValueError: names the field or variable, what was found and what is accepted, on one line.
        """
        return cls(**read_model(data))


def _check_values(field: str, values: Sequence[Class], *, accepts_none: bool) -> None:
    """Checks that values are there, finite, and different; 1, 1.0 and True are three values."""
    if not values:
        raise _wrong(field, "none", "at least one value")
    seen: set[tuple[type, Class]] = set()
    for value in values:
        if value is None and not accepts_none:
            raise _wrong(field, "None", "None in the answer alone")
        if isinstance(value, float) and not math.isfinite(value):
            raise _wrong(field, str(value), "finite numbers")
        if type(value) is int and abs(value) > LARGEST:
            raise _wrong(field, "a larger number", f"whole numbers up to {LARGEST}")
        if (type(value), value) in seen:
            raise _wrong(field, f"{shortened(value)} twice", "each value once")
        seen.add((type(value), value))


def _wrong(field: str, found: str, accepted: str) -> ValueError:
    return ValueError(f"causal model: {field}: found {found}, accepted is {accepted}")


_NONE = Interventions()
