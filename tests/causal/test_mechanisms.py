"""Mechanisms check and read themselves: a new one is one class, and no malformed one fails only when it is run."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siit.causal import (
    CausalModel,
    Context,
    HighLevelEdge,
    Inputs,
    Intervention,
    Interventions,
    LeastInhibited,
    Linear,
    Lookup,
    Mechanism,
    Selection,
    SelectionShare,
    Table,
    Variable,
)
from siit.causal.mechanisms import UNDEFINED, Read, Values, fields
from siit.interchange.alignment import program_layers
from tests.builders.programs import causal_model


@dataclass(frozen=True, eq=False)
class Shift(Mechanism):
    """Gives what stands some slots before, as one head can."""

    type = "test_shift"
    moves_information = True
    constant_slots = frozenset({"q", "k"})
    value: str
    by: int

    @property
    def parents(self) -> Mapping[str | None, tuple[str, ...]]:
        return {"q": ("indices",), "k": ("indices",), "v": (self.value,)}

    def __call__(self, read: Read) -> Values:
        return torch.nn.functional.pad(read(self.value, "v"), (self.by, 0), value=UNDEFINED)[:, : -self.by]

    def check(self, context: Context) -> None:
        context.expect_kind(self.value, "categorical")
        context.expect_same_values("values", context.values, self.value)
        context.expect("by", self.by > 0, True)

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "value": self.value, "by": self.by}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], categorical: bool) -> Shift:
        return cls(fields.text(data, "value"), int(fields.number(data, "by")))


def shifting() -> CausalModel:
    """Whether the token two slots before is an a."""
    is_a = Table(("before",), torch.tensor([1, 0, 0]))
    return CausalModel(
        "ab", 4, [Variable("before", ("a", "b"), Shift("tokens", 2)), Variable("is_a", (False, True), is_a)]
    )


def test_a_new_mechanism_is_one_class():
    data = json.loads(json.dumps(shifting().to_json()))
    model = CausalModel.from_json(data)
    assert model.to_json() == data == model.to("cpu").to_json()
    # BOS has the id 2: a at slots 1 and 3 is seen from slots 3 and 5.
    found = model.run(Inputs(torch.tensor([[2, 0, 1, 0, 1]])))
    assert found.values["before"].tolist() == [[-1, -1, -1, 0, 1]] and found.output.tolist() == [[0, 0, 0, 1, 0]]
    assert model.variables["before"].is_attention and program_layers(model) == {"before": 0, "is_a": 0}
    assert [model.constant(edge) for edge in model.edges] == [True, True, False, False, False]
    assert model.edges[2] == HighLevelEdge("tokens", "before", "v")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"by": 0}, "variable 'before': by: found False, accepted is True"),
        ({"by": "two"}, "variable 'before': malformed: by: found 'two', accepted is a number"),
        (
            {"value": "indices"},
            r"variable 'before': values: found \('a', 'b'\), accepted is \(0, 1, 2, 3\), the values of indices",
        ),
        ({"value": "is_a"}, "variable 'before': found parent 'is_a', which is not computed before it"),
        (
            {"far": True},
            "variable 'before': malformed: mechanism test_shift: found the field 'far', accepted: type, value",
        ),
    ],
)
def test_a_new_mechanism_is_checked(changes: dict[str, Any], message: str):
    data = shifting().to_json()
    data["variables"][0]["mechanism"] |= changes
    with pytest.raises(ValueError, match=f"^causal model: {message}"):
        CausalModel.from_json(data)


def test_a_type_names_one_mechanism():
    with pytest.raises(
        TypeError, match=r"mechanism type: found 'table', that of .*Table.*; accepted is one of its own"
    ):
        type("Other", (Mechanism,), {"type": "table"})
    assert CausalModel.from_json(causal_model("reverse").to_json())
    # A class between a mechanism and its base has no type, and takes none.
    assert not hasattr(type("Between", (Mechanism,), {}), "type")


@dataclass(frozen=True, eq=False)
class Rootless(Mechanism):
    """Reads its inputs in slots of their own names."""

    type = "test_rootless"
    moves_information = True
    inputs: tuple[str, ...]

    @property
    def parents(self) -> Mapping[str | None, tuple[str, ...]]:
        return dict.fromkeys(self.inputs, self.inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [(("tokens",), "slot of its parents: found tokens, accepted is q or k or v"), ((), "parents: f")],
)
def test_what_holds_for_all_mechanisms(inputs: tuple[str, ...], message: str):
    with pytest.raises(ValueError, match=message):
        CausalModel("ab", 3, [Variable("odd", ("a", "b"), Rootless(inputs))])


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        (Table(("tokens",), torch.tensor([0, 1])), r"table shape: found \(2,\), accepted is \(3,\)"),
        (Table(("tokens",), torch.tensor([0, 9, 0])), "table entries: found 9, accepted is -1 to 1"),
        (
            Table(("tokens",), torch.tensor([0.0, 1.0, 1.0])),
            "table entries: found torch.float32, accepted is torch.int64",
        ),
        (Linear(("tokens",), (1.0,)), "kind: found categorical, accepted is numerical"),
    ],
)
def test_a_model_is_checked_where_it_is_made_too(mechanism: Mechanism, message: str):
    with pytest.raises(ValueError, match=f"causal model: variable 'made': {message}"):
        CausalModel("ab", 3, [Variable("made", ("a", "b"), mechanism)])


def test_values_are_of_a_type():
    """True, 1 and 1.0 are three values, so ids for one do not stand for another."""
    members, selection = (
        torch.tensor([0]),
        Selection("tokens", "tokens", torch.ones(3, 3, dtype=torch.int8), True, False),
    )
    for values in ((0, True), (0, 1.0)):
        with pytest.raises(ValueError, match="variable 'same': values: found"):
            CausalModel((0, 1), 2, [Variable("same", values, Lookup(None, "tokens", "tokens", None, 1, members))])
    assert CausalModel((0, False, 0.0), 2, [Variable("share", None, SelectionShare(_wider(selection, 4)))])


def _wider(selection: Selection, size: int) -> Selection:
    return Selection(selection.query, selection.key, torch.ones(size, size, dtype=torch.int8), True, False)


@cache
def _text(name: str) -> str:
    """A catalogue model, or one of lookups, as its file has it."""
    if name != "lookups":
        return json.dumps(causal_model(name).to_json())
    members, places = torch.tensor([0, 1]), tuple(range(4))
    variables = [
        Variable("twice", tuple("abc"), Lookup("tokens", "tokens", "tokens", "same", 2, members)),
        Variable("where", places, Lookup("tokens", "twice", "indices", "same", 1, members)),
        Variable("furthest", places, Lookup(None, "where", "where", None, 1, torch.arange(4), greatest=True)),
        Variable("only", tuple("abc"), Lookup(None, "twice", "twice", None, 1, members)),
        Variable("least", tuple("abc"), LeastInhibited("only", "furthest", "tokens", "indices", "tokens", members)),
    ]
    return json.dumps(CausalModel("abc", 4, variables, scored_at="last").to_json())


MODELS = ("frac_prevs", "reverse", "open_minus_close_fraction", "histogram", "first_occurrences", "tanh", "lookups")
NUMBERS: tuple[Any, ...] = (0, 1, -1, -2, 2, 3, 7, 255, 256, 1 << 40, 1 << 70, 10**400, 0.5, -1.0, 1e300)
NAMES: tuple[Any, ...] = ("", "a", "tokens", "indices", "output", "same", "other", "last", "table", "lookup", "linear")
JUNK: tuple[Any, ...] = (None, True, False, float("nan"), float("inf"), [], {}, [0], [[0]], [[0], [0, 1]], ["tokens"])


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of the data, with every key or index of it."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield data, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _mutate(data: dict[str, Any], draw: st.DrawFn) -> None:
    """Replaces, removes, repeats or transplants one part of the data; parts near the top as often as entries."""
    places = list(_places(data))
    few = [place for place in places if not isinstance(place[0], list) or len(place[0]) < 5]
    narrow: bool = draw(st.booleans())
    container, key = draw(st.sampled_from(few if few and narrow else places))
    how = draw(st.sampled_from(["junk", "number", "name", "remove", "repeat", "transplant", "swap"]))
    other, there = draw(st.sampled_from(places))
    if how == "junk":
        container[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    elif how == "number":
        container[key] = draw(st.sampled_from(NUMBERS))
    elif how == "name":
        variables = data.get("variables")
        items = variables if isinstance(variables, list) else []
        names = [item["name"] for item in items if isinstance(item, dict) and "name" in item]
        container[key] = copy.deepcopy(draw(st.sampled_from([*NAMES, *names])))
    elif how == "remove":
        del container[key]
    elif how == "repeat" and isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    elif how == "transplant":
        container[key] = copy.deepcopy(other[there])
    else:
        container[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(container[key])


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """The data of a model with one to three faults."""
    data = json.loads(_text(draw(st.sampled_from(MODELS))))
    for _ in range(draw(st.integers(1, 3))):
        if list(_places(data)):
            _mutate(data, draw)
    return data


@settings(max_examples=200, deadline=None)
@given(mutated(), st.integers(0, 1 << 16))
def test_a_malformed_model_is_refused_and_any_other_runs(data: dict[str, Any], seed: int):
    model = _read(data)
    if isinstance(model, str):
        assert model.startswith("causal model: ") and len(model.splitlines()) == 1
        assert ": found " in model or "malformed: " in model
        return
    again = CausalModel.from_json(json.loads(json.dumps(model.to_json(), allow_nan=False)))
    assert again.to_json() == model.to_json()
    generator = torch.Generator().manual_seed(seed)
    base, source = _inputs(model, generator), _inputs(model, generator)
    found = model.run(source)
    for run in (model.run(base), found, model.run(base, _some(model, found.values, generator))):
        assert run.scored.shape == base.tokens.shape
        for name, variable in model.variables.items():
            held = run.values[name]
            assert held.shape == base.tokens.shape
            assert held.is_floating_point() == (variable.values is None)
            if variable.values is not None:
                assert bool(((held >= -2) & (held < len(variable.values))).all())
        assert not run.output[run.scored].isnan().any()


def _read(data: dict[str, Any]) -> CausalModel | str:
    """The model, or the reason why it is refused."""
    try:
        return CausalModel.from_json(data)
    except ValueError as error:
        return str(error)


def _inputs(model: CausalModel, generator: torch.Generator) -> Inputs:
    """Inputs of all lengths, in part without an end or a beginning, and at positions out of order."""
    size, slots = len(model.vocab), min(model.max_len, 24) + 1
    tokens = torch.randint(size, (6, slots), generator=generator)
    lengths = torch.randint(slots, (6, 1), generator=generator)
    tokens = torch.where((torch.arange(slots) > lengths) & (torch.arange(6).unsqueeze(1) < 5), size + 1, tokens)
    tokens[:4, 0] = size
    return Inputs(tokens, torch.rand(6, slots, generator=generator).argsort(-1) if lengths[0] % 2 else None)


def _some(model: CausalModel, values: Mapping[str, Values], generator: torch.Generator) -> Interventions:
    """Some variables and edges set to what they are in another run."""

    def chosen() -> bool:
        return bool(torch.rand((), generator=generator) < 0.3)

    variables = {name: Intervention(values[name]) for name in model.variables if chosen()}
    return Interventions(variables, {edge: Intervention(values[edge.parent]) for edge in model.edges if chosen()})
