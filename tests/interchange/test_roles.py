"""Roles: what a node is said to carry follows from the causal model, and where heads look is said elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import tracr_cases
from siit.causal import Aggregate, CausalModel, Linear, Nearest, Selection, SelectionShare, Table, Variable
from siit.causal.mechanisms import NOT_SELECTED, SELECTED, UNDECIDED
from siit.graph.architecture import head, mlp
from siit.interchange.roles import programs, roles, value_in_words
from siit.training.ioi.causal_models import IOI_CASES
from tests.builders.programs import causal_model

VOCAB = (0, 1, 2, 3)


def selecting(
    relation: Callable[[int, int], bool], query: str = "indices", key: str = "indices", *, causal: bool = False
) -> Selection:
    """A selection among four values; an undefined query is undecided, an undefined key is not selected."""
    states = [[SELECTED if relation(k, q) else NOT_SELECTED for k in range(4)] + [NOT_SELECTED] for q in range(4)]
    return Selection(query, key, torch.tensor([*states, [UNDECIDED] * 5], dtype=torch.int8), causal, valid=False)


def model(*variables: Variable) -> CausalModel:
    return CausalModel(VOCAB, 4, variables)


def fetching(selection: Selection) -> str:
    return value_in_words(
        model(Variable("found", VOCAB, Aggregate(selection, "tokens", None), "attends there")), "found"
    )


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (selecting(lambda k, q: True, "tokens", "tokens"), "all positions"),
        (selecting(lambda k, q: True, causal=True), "all positions up to its own"),
        (selecting(lambda k, q: k <= q), "all positions up to its own"),
        (selecting(lambda k, q: k == q, "tokens"), "the position whose `indices` equals its `tokens`"),
        (selecting(lambda k, q: k == q - 1), "the position whose `indices` equals its own `indices` minus 1"),
        (
            selecting(lambda k, q: k == max(q - 2, 0), causal=True),
            "the position up to its own whose `indices` equals its own `indices` minus 2, or 0 if that is negative",
        ),
        (selecting(lambda k, q: k == q + 1), "the position whose `indices` equals its own `indices` plus 1"),
        (
            selecting(lambda k, q: k > q, "tokens", "tokens"),
            "the positions whose `tokens` is greater than its own `tokens`",
        ),
        (
            selecting(lambda k, q: k != q, "tokens", "tokens"),
            "the positions whose `tokens` differs from its own `tokens`",
        ),
        (selecting(lambda k, q: k >= 2, "indices", "tokens"), "the positions whose `tokens` is 2 or 3"),
        (selecting(lambda k, q: k == 3), "the position whose `indices` is 3"),
        (selecting(lambda k, q: k == q ^ 1), "the position whose `indices` is selected by its own `indices`"),
    ],
)
def test_which_positions_are_selected(selection: Selection, words: str):
    assert fetching(selection) == f"`tokens` at {words}"


def test_a_share_of_attention_is_a_number_and_no_attention():
    share = Variable("n_share", None, SelectionShare(selecting(lambda k, q: True)), "attends to everything and BOS")
    counts = torch.arange(4, -1, -1.0)
    count = Variable("n", tuple(range(5)), Nearest("n_share", 1 / (1 + counts), counts.long()), "the number of tokens")
    assert value_in_words(model(share, count), "n_share") == "1 / (1 + `n`), `n`: the number of tokens"
    # What reads the share as something else is not the number that it is made of.
    other = Variable("n", tuple(range(5)), Nearest("n_share", 1 / (1 + counts), counts.long().flip(0)))
    assert value_in_words(model(share, other), "n_share") == "1 / (1 + the number of all positions)"


def test_means_and_functions_of_other_variables():
    number = Variable("number", None, Table(("tokens",), torch.tensor([0.0, 1, 2, 3, torch.nan])), "")
    mean = Variable("mean", None, Aggregate(selecting(lambda k, q: k < q), "number", 0.0))
    both = Variable("both", None, Linear(("number", "mean"), (1.0, -1.0)))
    found = model(number, mean, both)
    assert value_in_words(found, "number") == "a function of `tokens`"
    below = "the positions whose `indices` is less than its own `indices`"
    assert value_in_words(found, "mean") == f"the mean of `number` over {below}, 0 where there are none"
    assert value_in_words(found, "both") == "a function of `number` and `mean`"


def test_nodes_that_share_variables_and_variables_that_share_nodes():
    found = model(
        Variable("one", VOCAB, Table(("tokens",), torch.tensor([0, 1, 2, 3, -1])), "the token"),
        Variable("two", VOCAB, Table(("tokens",), torch.tensor([0, 1, 2, 3, -1])), "the token too"),
        Variable("there", VOCAB, Aggregate(selecting(lambda k, q: k == 0), "one", None)),
    )
    alignment = {"one": ("m0",), "two": ("m0",), "there": ("a1.h0", "a1.h1")}
    said = roles(found, alignment)
    assert said["m0"] == "carries `one`: the token; carries `two`: the token too"
    fetched = "`one` at the position whose `indices` is 0"
    assert said["a1.h0"] == said["a1.h1"] == f"carries as one of 2 nodes `there`: {fetched}"
    assert programs(found, alignment) == dict.fromkeys(("a1.h0", "a1.h1"), f"fetches {fetched}")


def check(found: CausalModel) -> None:
    """Every member has a role that names its variable; only heads have programs, and roles say nothing of attention."""
    nodes = {
        name: (head(layer, 0) if variable.is_attention else mlp(layer),)
        for layer, (name, variable) in enumerate(found.variables.items())
    }
    said, how = roles(found, nodes), programs(found, nodes)
    assert set(said) == {"tok_embed", "pos_embed", "logits", *(node for (node,) in nodes.values())}
    for name, (node,) in nodes.items():
        assert said[node].startswith(f"carries `{name}`: ") and len(said[node]) > len(f"carries `{name}`: ")
        assert (node in how) == found.variables[name].is_attention
    for text in said.values():
        assert "attend" not in text and "BOS" not in text
    assert all(how.values())


@pytest.mark.parametrize("name", tracr_cases.names())
def test_every_case(name: str):
    found = causal_model(name)
    check(found)
    for variable in found.variables.values():
        if not variable.is_attention:
            # It says what the value is; a verb in the third person would say what is done.
            assert not variable.description.split()[0].endswith("s"), variable.description


@pytest.mark.parametrize("name", IOI_CASES)
def test_indirect_objects(name: str):
    vocab = ("Anna", "Bob", "Carl", "and", "gave", "to")
    found = IOI_CASES[name].make(vocab, 8, torch.arange(3))
    check(found)
    words = value_in_words(found, "duplicate")
    assert words == (
        "`tokens` at the positions up to its own whose `tokens` is one of 3 and equals its own `tokens`, "
        "at least 2 of them"
    )
