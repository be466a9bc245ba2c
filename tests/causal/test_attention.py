"""The patterns that mechanisms ask of heads: what a head that has them reads is the variable's value."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from siit.causal import Aggregate, CausalModel, Inputs, Lookup, Run, Selection, SelectionShare, Table, Variable
from siit.causal.mechanisms import NOT_SELECTED, SELECTED, UNDECIDED
from tests.builders import ioi, programs

SMALLER = torch.tensor([[int(key < query) for key in (0, 1, 2, 9)] for query in (0, 1, 2, 0)], dtype=torch.int8)
"""Selects the tokens before the query's in the alphabet."""
TOKENS = torch.tensor([[3, 1, 2, 0], [3, 0, 0, 4]])
"""BOS b c a; BOS a a PAD."""


def patterns(variable: Variable, *before: Variable) -> Tensor:
    model = CausalModel("abc", 3, [*before, variable])
    return model.run(Inputs(TOKENS), attention=[variable.name]).attention[variable.name]


def selection(predicate: Tensor = SMALLER, *, causal: bool = False) -> Selection:
    return Selection("tokens", "tokens", predicate, causal, valid=False)


def test_a_mean_is_spread_over_the_selected_slots():
    weight = Variable("weight", None, Table(("tokens",), torch.tensor([0.0, 1.0, 2.0, 0.0])))
    found = patterns(Variable("mean", None, Aggregate(selection(), "weight", 0.0)), weight)
    assert found[0, 1:].tolist() == [[0, 0, 0, 1], [0, 0.5, 0, 0.5], [1, 0, 0, 0]]
    causal = patterns(Variable("mean", None, Aggregate(selection(causal=True), "weight", 0.0)), weight)
    assert causal[0, 1:].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]


def test_bos_weighs_as_much_as_all_slots_in_a_count():
    found = patterns(Variable("smaller", None, SelectionShare(selection())))
    torch.testing.assert_close(found[0, 1:, 0], torch.tensor([3 / 4, 3 / 5, 1]))
    torch.testing.assert_close(found[0, 2], torch.tensor([3 / 5, 1 / 5, 0, 1 / 5]))


def test_a_head_writes_the_attention_that_it_leaves_on_bos():
    share = SelectionShare(selection())
    values = torch.tensor([[1, 1 / 2, 1 / 3, math.nan]])
    torch.testing.assert_close(share.written(values), torch.tensor([[1, 3 / 4, 3 / 5, math.nan]]), equal_nan=True)
    mean = Aggregate(selection(), "weight", 0.0)
    torch.testing.assert_close(mean.written(values), values, equal_nan=True)


def test_any_pattern_will_do_where_the_selection_is_undecided():
    undecided = SMALLER.clone()
    undecided[1, 2] = UNDECIDED
    found = patterns(Variable("smaller", None, SelectionShare(selection(undecided))))
    assert not found[0, 1].any() and found[0, 2].any()
    assert {NOT_SELECTED, SELECTED, UNDECIDED} == set(undecided.unique().tolist())


def test_a_lookup_that_finds_nothing_attends_to_bos():
    members = torch.tensor([1, 2])
    found = patterns(Variable("same", tuple("abc"), Lookup("tokens", "tokens", "tokens", "same", 1, members)))
    assert found[0, 1:].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]]
    twice = Lookup("tokens", "tokens", "tokens", "same", 2, members)
    assert twice.attention(lambda parent, slot: TOKENS) is None


def test_patterns_are_asked_for_by_name():
    model = programs.causal_model("frac_prevs")
    inputs = Inputs(programs.encode(model, "xab"))
    assert model.run(inputs).attention == {}
    assert model.run(inputs, attention=["is_x"]).attention == {}, "an MLP has no pattern"


@pytest.mark.parametrize("name", ["frac_prevs", "reverse", "count_greater", "follow_two_pointers"])
def test_a_head_with_the_pattern_reads_the_value(name: str):
    """Means, tokens and shares are what the pattern makes of the values that the head reads."""
    task = programs.task(name)
    model = task.model
    tokens = task.pairs("train", seed=0).draw(64, torch.Generator().manual_seed(0)).base
    run = model.run(Inputs(tokens), attention=[*model.variables])
    assert run.attention
    for variable, pattern in run.attention.items():
        check(model, run, variable, pattern, tokens < len(model.vocab))


def check(model: CausalModel, run: Run, name: str, pattern: Tensor, is_token: Tensor) -> None:
    mechanism, values = model.variables[name].mechanism, run.values[name]
    total = pattern.sum(-1)
    assert bool(((total - 1).abs().lt(1e-6) | total.eq(0)).all())
    if isinstance(mechanism, SelectionShare):
        defined = ~values.isnan() & is_token
        torch.testing.assert_close(pattern[..., 0][defined], mechanism.written(values)[defined])
        return
    assert isinstance(mechanism, Aggregate)
    read = run.values[mechanism.value].double()
    mixed = (pattern.double() @ read.nan_to_num(0.0).unsqueeze(-1)).squeeze(-1)
    found = is_token & (total > 0) & (pattern[..., 0] == 0)
    found &= values.ge(0) if not values.is_floating_point() else ~values.isnan()
    assert found.any()
    torch.testing.assert_close(mixed[found], values[found].double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["ioi", "ioi_full"])
def test_sentences(name: str):
    """A lookup's value stands where its head attends."""
    model = ioi.task(name).model
    run = model.run(ioi.inputs(model, list(ioi.sentences(0))), attention=[*model.variables])
    assert run.attention
    for variable, pattern in run.attention.items():
        value = model.variables[variable].mechanism.parents["v"][0]
        some = pattern[..., 1:].sum(-1) > 0
        attended = run.values[value][torch.arange(len(pattern)).unsqueeze(1), pattern.argmax(-1)]
        defined = some & (run.values[variable] >= 0)
        assert defined.any() and torch.equal(attended[defined], run.values[variable][defined])
