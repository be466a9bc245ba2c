"""Causal models as data: what is read, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from siit.causal import CausalModel, Inputs, Linear, Table, Variable
from tests.builders.programs import NAMES, causal_model, task

Change = Callable[[dict[str, Any]], Any]


def data(name: str) -> dict[str, Any]:
    return json.loads(json.dumps(causal_model(name).to_json()))


@pytest.mark.parametrize("name", [*NAMES, "first_occurrences", "tanh"])
def test_round_trip(name: str):
    model = causal_model(name)
    text = json.dumps(model.to_json(), allow_nan=False)
    again = CausalModel.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert (again.edges, again.classes, again.position_only) == (model.edges, model.classes, model.position_only)
    tokens = task(name).sample(32, torch.Generator().manual_seed(0))
    for variable, values in model.run(Inputs(tokens)).values.items():
        assert torch.equal(values.nan_to_num(-7.0), again.run(Inputs(tokens)).values[variable].nan_to_num(-7.0))


def variable(index: int, **changes: Any) -> Change:
    return lambda data: data["variables"][index].update(changes)


def mechanism(index: int, **changes: Any) -> Change:
    return lambda data: data["variables"][index]["mechanism"].update(changes)


def top(**changes: Any) -> Change:
    return lambda data: data.update(changes)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("reverse", top(format="siit-causal-model/2"), "format: found 'siit-causal-model/2', accepted is"),
        ("reverse", lambda data: data.pop("vocab"), "causal model: vocab: found nothing, accepted is a value"),
        ("reverse", top(vocab="abc"), "values: found 'abc', accepted is a list of strings, numbers and booleans"),
        (
            "reverse",
            top(vocab=["a", None]),
            r"values: found \['a', None\], accepted is a list of strings, numbers and b",
        ),
        ("reverse", variable(1, values=[[1]]), r"'length'.*found \[\[1\]\], accepted is .* booleans \(or null\)"),
        (
            "reverse",
            variable(1, values=[None, *range(1, 10)]),
            "variable 'length': values: found None, accepted is None in the answer alone",
        ),
        ("reverse", top(vocab=[["a"]]), r"vocab: malformed: values: found \[\['a'\]\], accepted is a list"),
        ("reverse", top(vocab=[]), "vocab: found none, accepted is at least one value"),
        ("reverse", top(max_len="9"), "max_len: found '9', accepted is a whole number from 1 to 4095"),
        ("reverse", top(max_len=0), "max_len: found 0, accepted is"),
        ("reverse", top(max_len=True), "max_len: found True, accepted is"),
        ("reverse", top(max_len=10**30), "max_len: found 10+, accepted is"),
        ("reverse", top(vocab=["a", "a"]), "vocab: found 'a' twice, accepted is each value once"),
        ("reverse", top(vocab=[float("nan")]), "vocab: found nan, accepted is finite numbers"),
        ("reverse", top(vocab=[10**400]), "vocab: found a larger number, accepted is whole numbers up to"),
        ("reverse", top(code=""), "malformed: found the field 'code', accepted: format, vocab"),
        ("reverse", variable(0, code=""), "'length_share': malformed: found the field 'code', accepted: name, kind"),
        (
            "reverse",
            mechanism(1, code=""),
            "'length': malformed: mechanism nearest: found the field 'code', accepted: t",
        ),
        ("reverse", variable(1, values=[]), "'length': values: found none, accepted is at least one value"),
        ("reverse", variable(1, values=[1, 1]), "'length': values: found 1 twice, accepted is each value once"),
        ("reverse", variable(1, name=["a"]), r"variables\[1\]: malformed: name: found \['a'\], accepted is a text"),
        ("reverse", variable(1, description=None), "'length': malformed: description: found None, accepted is a text"),
        ("reverse", variable(1, kind="numerical"), "'length': malformed: kind: found 'numerical', accepted is 'cat"),
        ("reverse", top(max_len=4), "table shape: found"),
        ("reverse", top(variables=[]), "variables: found none, accepted is at least one"),
        (
            "reverse",
            lambda data: data["variables"][1].pop("mechanism"),
            "variable 'length': mechanism: found nothing, accepted is a value",
        ),
        ("reverse", top(variables=[3]), r"variables\[0\]: malformed: found 3, accepted is an object"),
        (
            "reverse",
            lambda data: data["variables"].reverse(),
            "found parent 'mirrored', which is not computed before it, accepted is one of indices, tok",
        ),
        (
            "reverse",
            variable(1, name="length_share"),
            "variable 'length_share': found a name that is taken, accepted is a unique",
        ),
        (
            "reverse",
            variable(0, name="output"),
            "found a name that is taken, accepted is a unique one, other than 'output'",
        ),
        ("reverse", variable(0, name="tokens"), "'tokens': found a name that is taken"),
        (
            "reverse",
            variable(0, name="do/it"),
            r"variable 'do/it': found this name, accepted is one without any of \+ -> < > /",
        ),
        ("reverse", variable(0, name=""), "and not empty"),
        ("reverse", variable(3, values=["a"]), r"variable 'reverse': values: found \('a',\), accepted is \('a', 'b'"),
        (
            "reverse",
            variable(0, values=["a"], kind="categorical"),
            "'length_share': kind: found categorical, accepted is num",
        ),
        ("reverse", mechanism(1, type="pickle"), "mechanism type: found 'pickle', accepted: .*table, nearest, linear"),
        ("reverse", mechanism(1, table=[0] * 9), "table shape|malformed"),
        ("reverse", mechanism(1, table=[0] * 9 + [10]), "table entries: found 10, accepted is -1 to 9"),
        ("reverse", mechanism(1, table=[0] * 9 + [-2]), "table entries: found -2, accepted is -1 to 9"),
        ("reverse", mechanism(1, table=[0] * 9 + [0.5]), "malformed: table: found 0.5, accepted is an integer"),
        ("reverse", mechanism(1, table=[True] * 10), "malformed: table: found True, accepted is an integer"),
        ("reverse", mechanism(1, table=[0] * 9 + ["0"]), "malformed"),
        ("reverse", mechanism(1, table=[0] * 9 + [None]), "variable 'length': malformed"),
        ("reverse", mechanism(1, table=[0] * 9 + [1 << 70]), "variable 'length': malformed: .*[Oo]verflow"),
        ("reverse", mechanism(1, input="tokens"), "kind of tokens: found categorical, accepted is numerical"),
        (
            "reverse",
            mechanism(1, points=[float(n) for n in range(10, 0, -1)]),
            r"points: found \[10.0, 9.0, .*, accepted is finite numbers in ascending order",
        ),
        ("reverse", mechanism(1, points=[], table=[]), r"points: found \[\], accepted is finite"),
        (
            "reverse",
            mechanism(1, points=[[1.0]], table=[[0]]),
            r"points: found a list of dimension 2, accepted is one of dimension 1",
        ),
        ("reverse", mechanism(1, points=[None], table=[0]), r"points: found \[nan\], accepted is finite"),
        ("reverse", mechanism(1, points=["1"]), "points: found '1', accepted is a number that is finite as float32"),
        ("reverse", mechanism(1, points=[1e300]), r"points: found 1e\+300, accepted is a number that is finite"),
        ("reverse", mechanism(2, inputs=[], table=0), "'mirrored': parents: found none, accepted is at least one"),
        ("reverse", mechanism(2, inputs="tokens"), "inputs: found 'tokens', accepted is a list of texts"),
        ("reverse", mechanism(2, inputs=[["tokens"]]), r"inputs: found \[\['tokens'\]\], accepted is a list of texts"),
        ("reverse", mechanism(2, inputs=["length_share", "indices"]), "kind of length_share: found numerical"),
        ("reverse", mechanism(2, inputs=["length"]), "table shape"),
        (
            "reverse",
            mechanism(2, inputs=["length", "nothing"]),
            "found parent 'nothing', which is not computed before it",
        ),
        ("reverse", mechanism(2, table=[[0], [0, 1]]), "expected sequence of length 1"),
        ("reverse", mechanism(3, predicate=[[0, 1], [1, 0]]), "predicate shape: found"),
        ("reverse", mechanism(3, query="length_share"), "kind of length_share: found numerical, accepted is categ"),
        ("reverse", mechanism(3, value="length_share"), "values: found"),
        ("reverse", mechanism(3, default=0), "variable 'reverse': default: found 0.0, accepted is None"),
        ("reverse", mechanism(3, default="a"), "default: found 'a', accepted is a number"),
        ("reverse", mechanism(3, causal=1), "causal: found 1, accepted is true or false"),
        ("frac_prevs", mechanism(0, table=[0, 0, 0, 0, "x"]), "variable 'is_x': malformed"),
        ("open_minus_close_fraction", mechanism(4, coefficients=[1]), "coefficients: found 1, accepted is 2"),
        (
            "open_minus_close_fraction",
            mechanism(4, coefficients=[1, True]),
            "coefficients: found True, accepted is a n",
        ),
        ("open_minus_close_fraction", mechanism(4, inputs=[], coefficients=[]), "parents: found none, accepted is at"),
        ("open_minus_close_fraction", mechanism(4, inputs=["tokens", "is_open"]), "kind of tokens: found categor"),
        (
            "open_minus_close_fraction",
            variable(4, values=["a"], kind="categorical"),
            "kind: found categorical, accepted is numerical",
        ),
    ],
)
def test_malformed(name: str, change: Change, message: str):
    malformed = data(name)
    change(malformed)
    with pytest.raises(ValueError, match=message):
        CausalModel.from_json(malformed)


@pytest.mark.parametrize("entry", [3, -1, 256, 257])
def test_predicate_entries(entry: int):
    malformed = copy.deepcopy(data("reverse"))
    malformed["variables"][3]["mechanism"]["predicate"][0][0] = entry
    with pytest.raises(
        ValueError, match=f"variable 'reverse': malformed: predicate: found {entry}, accepted are 0 to 2"
    ):
        CausalModel.from_json(malformed)


def test_a_model_is_checked_when_it_is_made():
    identity = Table(("tokens",), torch.tensor([0, 1, -1]))
    first = Variable("first", ("a", "b"), identity)
    with pytest.raises(ValueError, match="variable 'first': found a name that is taken"):
        CausalModel("ab", 3, [first, first])
    with pytest.raises(
        ValueError, match=r"parent 'later', which is not computed before it, accepted is one of first, indices, tok"
    ):
        CausalModel("ab", 3, [first, Variable("sum", None, Linear(("later",), (1.0,)))])
    assert CausalModel("ab", 3, [first]).answer is first


def test_a_parent_that_is_read_twice_in_a_slot_is_one_edge():
    pair = Table(("tokens", "tokens"), torch.tensor([[0, 1, -1], [1, 0, -1], [-1, -1, -1]]))
    model = CausalModel("ab", 3, [Variable("pair", (0, 1), pair)])
    assert [str(edge) for edge in model.edges] == ["tokens->pair", "pair->output"]
    assert model.run(Inputs(torch.tensor([[2, 0, 1, 3]]))).output.tolist() == [[-1, 0, 0, -1]]
