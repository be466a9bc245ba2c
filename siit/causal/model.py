"""The high-level causal model: a DAG of named variables with mechanisms, run with and without interventions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal.mechanisms import (
    UNDEFINED,
    Aggregate,
    Linear,
    Mechanism,
    Nearest,
    SelectionShare,
    Table,
    Values,
    mechanism_from_json,
    undefined,
)

TOKENS, INDICES, OUTPUT = "tokens", "indices", "output"
CAUSAL_MODEL_FORMAT = "siit-causal-model/1"
Scalar = str | int | float | bool


@dataclass(frozen=True)
class Variable:
    """A hidden variable.

    Attributes:
        name: unique in the model.
        values: what its ids stand for, None where it is numerical.
        mechanism: computes it from its parents.
        description: its role, in the words of a researcher.
    """

    name: str
    values: tuple[Scalar, ...] | None
    mechanism: Mechanism
    description: str = ""

    @property
    def categorical(self) -> bool:
        return self.values is not None

    @property
    def kind(self) -> str:
        return "categorical" if self.categorical else "numerical"

    @property
    def is_attention(self) -> bool:
        """Whether it moves information between positions, so that attention heads must compute it."""
        return isinstance(self.mechanism, Aggregate | SelectionShare)


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
class Exchange:
    """Values that replace a variable's own, in the examples of `mask` (None: in all)."""

    values: Values
    mask: Bool[Tensor, " batch"] | None = None

    def apply(self, own: Values) -> Values:
        return self.values if self.mask is None else torch.where(self.mask.unsqueeze(-1), self.values, own)


@dataclass(frozen=True, eq=False)
class Interventions:
    """Variables that are set, and edges along which one child reads something else than its parent's value."""

    variables: Mapping[str, Exchange] = field(default_factory=dict)
    edges: Mapping[HighLevelEdge, Exchange] = field(default_factory=dict)


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

    Raises:
        ValueError: where a name is used twice or a parent is not computed before its child.
    """

    def __init__(self, vocab: Sequence[Scalar], max_len: int, variables: Sequence[Variable]) -> None:
        self.vocab = tuple(vocab)
        self.max_len = max_len
        self.variables = {variable.name: variable for variable in variables}
        known = {TOKENS, INDICES}
        for variable in variables:
            if variable.name in known or variable.name == OUTPUT:
                raise ValueError(f"variable {variable.name!r}: the name is taken; names are unique and not 'output'")
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

    @property
    def classes(self) -> tuple[Scalar, ...] | None:
        """The output's classes by id, None where it is numerical."""
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
    def position_only(self) -> frozenset[str]:
        """Variables that depend on positions only, `indices` included."""
        found = {INDICES}
        for variable in self.variables.values():
            parents = {parent for group in variable.mechanism.parents.values() for parent in group}
            if parents <= found:
                found.add(variable.name)
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
        )

    def run(self, inputs: Inputs, interventions: Interventions | None = None) -> Run:
        """Computes all variables, with interventions where given.

        Edge interventions see the parent's value after interventions on the parent itself, and win over it.
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

        def reader(child: str) -> Any:
            def read(parent: str, slot: str | None) -> Values:
                exchange = done.edges.get(HighLevelEdge(parent, child, slot)) if done.edges else None
                own = values[parent]
                return own if exchange is None else exchange.apply(own)

            return read

        for name, variable in self.variables.items():
            value = variable.mechanism(reader(name))
            exchange = done.variables.get(name)
            values[name] = value if exchange is None else exchange.apply(value)
        values[OUTPUT] = reader(OUTPUT)(self.answer.name, None)
        return Run(values, is_token & ~undefined(values[OUTPUT]))

    def to_json(self) -> dict[str, Any]:
        """The model as data (`causal_model.json`)."""
        return {
            "format": CAUSAL_MODEL_FORMAT,
            "vocab": list(self.vocab),
            "max_len": self.max_len,
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
            raise ValueError(
                f"causal model: format: found {data.get('format')!r}, accepted is {CAUSAL_MODEL_FORMAT!r}"
            )
        variables = []
        try:
            for item in data["variables"]:
                values = None if item["values"] is None else tuple(item["values"])
                mechanism = mechanism_from_json(item["mechanism"], values is not None)
                variables.append(Variable(str(item["name"]), values, mechanism, str(item["description"])))
            model = cls(tuple(data["vocab"]), int(data["max_len"]), variables)
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"causal model: malformed: {type(error).__name__}: {error}") from error
        model._check_tables()
        return model

    def _check_tables(self) -> None:
        sizes: dict[str, int | None] = {TOKENS: len(self.vocab), INDICES: self.max_len}
        for variable in self.variables.values():
            mechanism = variable.mechanism
            size = None if variable.values is None else len(variable.values)

            def expect(what: str, found: object, accepted: object, name: str = variable.name) -> None:
                if found != accepted:
                    raise ValueError(f"causal model: variable {name!r}: {what}: found {found}, accepted is {accepted}")

            if isinstance(mechanism, Table):
                shape = tuple((sizes[parent] or 0) + 1 for parent in mechanism.inputs)
                expect("table shape", tuple(mechanism.table.shape), shape)
            elif isinstance(mechanism, Nearest):
                expect("parent kind", sizes[mechanism.input], None)
                expect("table shape", tuple(mechanism.table.shape), tuple(mechanism.points.shape))
            elif isinstance(mechanism, Linear):
                expect("coefficients", len(mechanism.coefficients), len(mechanism.inputs))
            elif isinstance(mechanism, Aggregate | SelectionShare):
                selection = mechanism.selection
                shape = ((sizes[selection.query] or 0) + 1, (sizes[selection.key] or 0) + 1)
                expect("predicate shape", tuple(selection.predicate.shape), shape)
                if isinstance(mechanism, Aggregate):
                    expect("value set size", size, sizes[mechanism.value])
            if size is not None and isinstance(mechanism, Table | Nearest):
                inside = bool(((mechanism.table >= UNDEFINED) & (mechanism.table < size)).all())
                expect(f"table entries within -1 to {size - 1}", inside, True)
            sizes[variable.name] = size


_NONE = Interventions()
