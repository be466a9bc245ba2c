"""The high-level causal model: a DAG of named variables with mechanisms, run with and without interventions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal.from_json import mechanism_from_json
from siit.causal.lookups import LOOKUPS
from siit.causal.mechanisms import (
    NOT_SELECTED,
    UNDECIDED,
    UNDEFINED,
    Aggregate,
    Linear,
    Mechanism,
    Nearest,
    SelectionShare,
    Table,
    Values,
    undefined,
)

ATTENTION = (Aggregate, SelectionShare, *LOOKUPS)
"""Mechanisms that move information between positions."""
TOKENS, INDICES, OUTPUT = "tokens", "indices", "output"
CAUSAL_MODEL_FORMAT = "siit-causal-model/1"
RESERVED = ("+", "->", "<", ">", "/")
"""What joins variables' names in the names of units and edges, and these in the names of tensors."""
Scalar = str | int | float | bool
ScoredAt = Literal["all", "last"]
Kind = Literal["categorical", "numerical"]
Class = Scalar | None
"""What a class of the answer stands for; None is an answer like any other where the program says so."""


@dataclass(frozen=True)
class Variable:
    """A hidden variable.

    Attributes:
        name: unique in the model.
        values: what its ids stand for, None where it is numerical. Only the answer's may hold None.
        mechanism: computes it from its parents.
        description: its role, in the words of a researcher.
    """

    name: str
    values: tuple[Class, ...] | None
    mechanism: Mechanism
    description: str = ""

    @property
    def categorical(self) -> bool:
        return self.values is not None

    @property
    def kind(self) -> Kind:
        return "categorical" if self.categorical else "numerical"

    @property
    def is_attention(self) -> bool:
        """Whether it moves information between positions, so that attention heads must compute it."""
        return isinstance(self.mechanism, ATTENTION)


@dataclass(frozen=True, order=True)
class HighLevelEdge:
    """A parent as one child reads it in one slot; `slot` is None where the child is not an attention variable."""

    parent: str
    child: str
    slot: str | None = None

    def __str__(self) -> str:
        return f"{self.parent}->{self.child}" + (f"<{self.slot}>" if self.slot else "")


@dataclass(frozen=True, eq=False)
class Inputs:
    """A batch of inputs: BOS, tokens, then padding.

    Attributes:
        tokens: token ids, int64; ids from the vocabulary's size on (BOS, PAD) are not tokens.
        positions: position ids (0 is BOS's); None stands for each slot's own.
    """

    tokens: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"] | None = None


@dataclass(frozen=True, eq=False)
class Intervention:
    """Values that replace a variable's own, in the examples of `mask` (None: in all)."""

    values: Values
    mask: Bool[Tensor, " batch"] | None = None

    def apply(self, own: Values) -> Values:
        return self.values if self.mask is None else torch.where(self.mask.unsqueeze(-1), self.values, own)


@dataclass(frozen=True, eq=False)
class Interventions:
    """Variables that are set, and edges along which one child reads something else than its parent's value."""

    variables: Mapping[str, Intervention] = field(default_factory=dict)
    edges: Mapping[HighLevelEdge, Intervention] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Run:
    """All variables' values in one run, the inputs and `output` among them.

    Attributes:
        values: variable -> int64 ids (-1 undefined) or float32 values (NaN undefined), [batch, pos].
        scored: where the output is defined at a token (not at BOS or padding) of the input.
    """

    values: Mapping[str, Values]
    scored: Bool[Tensor, "batch pos"]

    @property
    def output(self) -> Values:
        return self.values[OUTPUT]


class CausalModel:
    """A causal model over the inputs `tokens` and `indices`.

    Args:
        vocab: the tokens, by id.
        max_len: the largest number of tokens, BOS not counted.
        variables: the hidden variables in an order of computation; the last one is the output.
        scored_at: where the answer counts: at every token at which it is defined, or at the last token only.

    Raises:
        ValueError: where a name is used twice or has a sign that names of units and edges are joined with, or a
            parent is not computed before its child, or another variable than the output has None among its values.
    """

    def __init__(
        self, vocab: Sequence[Scalar], max_len: int, variables: Sequence[Variable], scored_at: ScoredAt = "all"
    ) -> None:
        if scored_at not in get_args(ScoredAt):
            raise ValueError(f"scored_at: found {scored_at!r}, accepted: {', '.join(get_args(ScoredAt))}")
        self.vocab = tuple(vocab)
        self.max_len = max_len
        self.scored_at = scored_at
        self.variables = {variable.name: variable for variable in variables}
        known = {TOKENS, INDICES}
        for variable in variables:
            if variable.name in known or variable.name == OUTPUT:
                raise ValueError(f"variable {variable.name!r}: the name is taken; names are unique and not 'output'")
            if not variable.name or any(sign in variable.name for sign in RESERVED):
                raise ValueError(
                    f"variable {variable.name!r}: accepted are names without any of {' '.join(RESERVED)}, and not empty"
                )
            for parents in variable.mechanism.parents.values():
                for parent in parents:
                    if parent not in known:
                        raise ValueError(
                            f"variable {variable.name!r}: parent {parent!r} is not computed before it; "
                            f"known there: {', '.join(sorted(known))}"
                        )
            known.add(variable.name)
        if not variables:
            raise ValueError("a causal model needs at least one hidden variable, found none")
        self.answer = variables[-1]
        for variable in variables[:-1]:
            if None in (variable.values or ()):
                raise ValueError(
                    f"variable {variable.name!r}: values: found None, accepted only in the answer, {self.answer.name!r}"
                )

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
        """Variables that depend on positions only, where excluded variables and edges (by name) never change."""
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
        """Whether what is read there is the same in every input: which slot is the beginning of the sequence."""
        child = self.variables.get(edge.child)
        return child is not None and isinstance(child.mechanism, SelectionShare) and edge.slot == "v"

    def to(self, device: torch.device | str) -> CausalModel:
        """The same model with its tables on `device`."""
        where = torch.device(device)
        return CausalModel(
            self.vocab,
            self.max_len,
            [Variable(v.name, v.values, v.mechanism.to(where), v.description) for v in self.variables.values()],
            self.scored_at,
        )

    def run(self, inputs: Inputs, interventions: Interventions | None = None) -> Run:
        """Computes all variables, with interventions where given.

        Edge interventions see the parent's value after interventions on the parent itself, and win over it.

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

        for name, variable in self.variables.items():
            value = variable.mechanism(reader(name))
            interchange = done.variables.get(name)
            values[name] = value if interchange is None else interchange.apply(value)
        values[OUTPUT] = reader(OUTPUT)(self.answer.name, None)
        scored = is_token & ~undefined(values[OUTPUT])
        if self.scored_at == "last":
            scored = scored & ~torch.nn.functional.pad(is_token[:, 1:], (0, 1))
        return Run(values, scored)

    def to_json(self) -> dict[str, Any]:
        """The model as data (`causal_model.json`)."""
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
        """Reads what `to_json` wrote, and checks that tables fit the value sets.

        Raises:
            ValueError: names the variable, what was found and what is accepted.
        """
        if data.get("format") != CAUSAL_MODEL_FORMAT:
            raise ValueError(f"causal model: format: found {data.get('format')!r}, accepted is {CAUSAL_MODEL_FORMAT!r}")
        variables, where = [], "vocab, max_len"
        try:
            vocab, max_len = _values(data["vocab"]), data["max_len"]
            if not vocab or not isinstance(max_len, int) or isinstance(max_len, bool) or max_len < 1:
                raise ValueError(f"found {list(vocab)} and {max_len!r}, accepted are tokens and at least 1")
            for item in data["variables"]:
                where = f"variable {item['name']!r}"
                values = None if item["values"] is None else _values(item["values"], Class)
                mechanism = mechanism_from_json(item["mechanism"], values is not None)
                variables.append(Variable(str(item["name"]), values, mechanism, str(item["description"])))
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ValueError(f"causal model: {where}: malformed: {type(error).__name__}: {error}") from error
        model = cls(vocab, max_len, variables, data.get("scored_at", "all"))
        model._check_mechanisms()
        return model

    def _check_mechanisms(self) -> None:
        """That kinds, shapes and entries fit the parents' value sets, so that no run can fail or read a wrong entry."""
        known: dict[str, tuple[Class, ...] | None] = {TOKENS: self.vocab, INDICES: tuple(range(self.max_len))}
        for variable in self.variables.values():
            mechanism, values = variable.mechanism, variable.values

            def expect(what: str, found: object, accepted: object, name: str = variable.name) -> None:
                if found != accepted:
                    raise ValueError(f"causal model: variable {name!r}: {what}: found {found}, accepted is {accepted}")

            def sizes(parents: Sequence[str], expect: Any = expect) -> tuple[int, ...]:
                for parent in parents:
                    expect(f"kind of {parent}", _kind(known[parent]), "categorical")
                return tuple(len(known[parent] or ()) + 1 for parent in parents)

            if not isinstance(mechanism, LOOKUPS):
                for parent in (parent for parents in mechanism.parents.values() for parent in parents):
                    # Only lookups know what is ambiguous.
                    found = parent in self.variables and isinstance(self.variables[parent].mechanism, LOOKUPS)
                    expect(f"parent {parent}", "a lookup" if found else "none", "none")
            if isinstance(mechanism, Table):
                expect("table shape", tuple(mechanism.table.shape), sizes(mechanism.inputs))
            elif isinstance(mechanism, Nearest):
                expect(f"kind of {mechanism.input}", _kind(known[mechanism.input]), "numerical")
                expect("points", len(mechanism.points) > 0 and bool((mechanism.points.diff() >= 0).all()), True)
                expect("table shape", tuple(mechanism.table.shape), tuple(mechanism.points.shape))
            elif isinstance(mechanism, Linear):
                expect("kind", variable.kind, "numerical")
                expect("coefficients", len(mechanism.coefficients), len(mechanism.inputs))
                for parent in mechanism.inputs:
                    expect(f"kind of {parent}", _kind(known[parent]), "numerical")
            elif isinstance(mechanism, Aggregate | SelectionShare):
                selection = mechanism.selection
                shape = tuple(selection.predicate.shape)
                expect("predicate shape", shape, sizes((selection.query, selection.key)))
                inside = bool(((selection.predicate >= NOT_SELECTED) & (selection.predicate <= UNDECIDED)).all())
                expect(f"predicate entries within {NOT_SELECTED} to {UNDECIDED}", inside, True)
                if isinstance(mechanism, Aggregate):
                    expect("values", values, known[mechanism.value])
                    expect("default", None if values is None else mechanism.default, None)
                else:
                    expect("kind", variable.kind, "numerical")
            elif isinstance(mechanism, LOOKUPS):
                expect("values", values, known[mechanism.value])
                key = mechanism.parents["k"][0]
                for parent in (parent for parents in mechanism.parents.values() for parent in parents):
                    expect(f"kind of {parent}", _kind(known[parent]), "categorical")
                for query, compared in zip(mechanism.parents.get("q", ()), mechanism.parents["k"]):
                    expect(f"values of {query} are those of {compared}", known[query] == known[compared], True)
                members, size = mechanism.members, len(known[key] or ())
                inside = members.ndim == 1 and len(members) > 0 and bool((members.diff() > 0).all())
                inside = inside and bool((members[0] >= 0) & (members[-1] < size))
                expect(f"members ascending within 0 to {size - 1}", inside, True)
            if values is not None and isinstance(mechanism, Table | Nearest):
                inside = bool(((mechanism.table >= UNDEFINED) & (mechanism.table < len(values))).all())
                expect(f"table entries within -1 to {len(values) - 1}", inside, True)
            known[variable.name] = values


def _kind(values: tuple[Class, ...] | None) -> Kind:
    return "numerical" if values is None else "categorical"


def _values(data: Any, accepted: Any = Scalar) -> tuple[Any, ...]:
    if not isinstance(data, list) or not all(isinstance(value, accepted) for value in data):
        also = " (or null)" if accepted is Class else ""
        raise TypeError(f"values: found {data!r}, accepted is a list of strings, numbers and booleans{also}")
    return tuple(data)


_NONE = Interventions()
