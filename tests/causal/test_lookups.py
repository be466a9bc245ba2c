"""Lookups: against brute force slot by slot, as data, and what is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siit.causal import CausalModel, Inputs, LeastInhibited, Lookup, Table, Variable
from siit.causal.mechanisms import AMBIGUOUS, UNDEFINED, Mechanism, mechanism_from_json

SIZE = 4
PROPERTY = settings(max_examples=60, deadline=None)
MEMBERS = st.sets(st.integers(0, SIZE - 1), min_size=1).map(sorted)


def ids(rows: int = 3, slots: int = 5) -> st.SearchStrategy[list[list[int]]]:
    """Values of a batch, nothing found and ambiguous ones among them."""
    often = st.integers(0, SIZE - 1)
    row = st.lists(often | st.integers(AMBIGUOUS, SIZE - 1), min_size=slots, max_size=slots)
    return st.lists(row, min_size=rows, max_size=rows)


def run(mechanism: Mechanism, values: Mapping[tuple[str, str], list[list[int]]]) -> list[list[int]]:
    """The mechanism on parents' values, by parent and slot."""
    found: Tensor = mechanism(lambda parent, slot: torch.tensor(values[parent, str(slot)]))
    assert found.dtype == torch.int64
    return found.tolist()


def common(values: list[int]) -> int:
    if not values:
        return UNDEFINED
    return values[0] if len(set(values)) == 1 else AMBIGUOUS


@PROPERTY
@given(ids(), ids(), ids(), MEMBERS, st.sampled_from(["same", "other"]), st.integers(1, 3))
def test_a_lookup_by_brute_force(
    query: list[list[int]], key: list[list[int]], value: list[list[int]], members: list[int], relation: Any, least: int
):
    lookup = Lookup("a", "b", "c", relation, least, torch.tensor(members))
    found = run(lookup, {("a", "q"): query, ("b", "k"): key, ("c", "v"): value})
    for q, k, v, row in zip(query, key, value, found, strict=True):
        for slot, held in enumerate(row):
            seen = range(slot + 1)
            if q[slot] == AMBIGUOUS or AMBIGUOUS in k[: slot + 1]:
                assert held == AMBIGUOUS
                continue
            selected = [at for at in seen if k[at] in members and (k[at] == q[slot]) == (relation == "same")]
            if q[slot] == UNDEFINED or len(selected) < least:
                assert held == UNDEFINED
            else:
                assert held == common([v[at] for at in selected])


@PROPERTY
@given(ids(), ids(), MEMBERS, st.integers(1, 3), st.booleans())
def test_a_lookup_without_a_query_by_brute_force(
    key: list[list[int]], value: list[list[int]], members: list[int], least: int, greatest: bool
):
    mechanism = Lookup(None, "b", "c", None, least, torch.tensor(members), greatest)
    for k, v, row in zip(key, value, run(mechanism, {("b", "k"): key, ("c", "v"): value}), strict=True):
        for slot, held in enumerate(row):
            found = [at for at in range(slot + 1) if k[at] in members]
            kept = [at for at in found if not greatest or k[at] == max(k[other] for other in found)]
            enough = common([v[at] for at in kept]) if len(found) >= least else UNDEFINED
            assert held == (AMBIGUOUS if AMBIGUOUS in k[: slot + 1] else enough)


@PROPERTY
@given(ids(), ids(), ids(), ids(), ids(), MEMBERS)
def test_the_least_inhibited_by_brute_force(
    name: list[list[int]],
    place: list[list[int]],
    name_key: list[list[int]],
    place_key: list[list[int]],
    value: list[list[int]],
    members: list[int],
):
    mechanism = LeastInhibited("name", "place", "names", "places", "value", torch.tensor(members))
    reads = [("name", "q"), ("place", "q"), ("names", "k"), ("places", "k"), ("value", "v")]
    found = run(mechanism, dict(zip(reads, (name, place, name_key, place_key, value), strict=True)))
    for n, p, nk, pk, v, row in zip(name, place, name_key, place_key, value, found, strict=True):
        for slot, held in enumerate(row):
            candidates = [at for at in range(slot + 1) if nk[at] in members]
            much = {at: 2 * (pk[at] + 1 == p[slot]) + (nk[at] == n[slot]) for at in candidates}
            tied = [at for at in candidates if much[at] == min(much.values())]
            first = [at for at in tied if pk[at] == min(pk[other] for other in tied)]
            strange = n[slot] not in [nk[at] for at in candidates] or p[slot] - 1 not in [pk[at] for at in candidates]
            if AMBIGUOUS in (n[slot], p[slot]):
                assert held == AMBIGUOUS
            elif UNDEFINED in (n[slot], p[slot]):
                assert held == UNDEFINED
            else:
                assert held == (AMBIGUOUS if strange else common([v[at] for at in first]))


def test_by_hand():
    """Which token stands before or here at least twice; ids 0 and 1 count."""
    repeated = Lookup("t", "t", "t", "same", 2, torch.tensor([0, 1]))
    tokens = [[0, 2, 1, 0, 2, 1, 3]]
    assert run(repeated, dict.fromkeys([("t", slot) for slot in "qkv"], tokens)) == [[-1, -1, -1, 0, -1, 1, -1]]
    only = Lookup(None, "r", "r", None, 1, torch.tensor([0, 1]))
    marked = [[-1, -1, -1, 0, -1, 1, -1]]
    assert run(only, {("r", "k"): marked, ("r", "v"): marked}) == [[-1, -1, -1, 0, 0, AMBIGUOUS, AMBIGUOUS]]


def test_parents_by_slot():
    members = torch.tensor([0])
    assert Lookup("a", "b", "c", "same", 1, members).parents == {"q": ("a",), "k": ("b",), "v": ("c",)}
    assert Lookup(None, "b", "c", None, 1, members).parents == {"k": ("b",), "v": ("c",)}
    least = LeastInhibited("a", "b", "c", "d", "e", members)
    assert least.parents == {"q": ("a", "b"), "k": ("c", "d"), "v": ("e",)}


def model() -> CausalModel:
    """Words a and b are marked where repeated; the answer is the other one."""
    members = torch.tensor([0, 1])
    places = tuple(range(4))
    return CausalModel(
        "abc",
        4,
        [
            Variable("twice", tuple("abc"), Lookup("tokens", "tokens", "tokens", "same", 2, members)),
            Variable("where", places, Lookup("tokens", "twice", "indices", "same", 1, members)),
            Variable("only", tuple("abc"), Lookup(None, "twice", "twice", None, 1, members)),
            Variable("least", tuple("abc"), LeastInhibited("only", "where", "tokens", "indices", "tokens", members)),
        ],
        scored_at="last",
    )


def data() -> dict[str, Any]:
    return json.loads(json.dumps(model().to_json(), allow_nan=False))


def test_round_trip():
    again = CausalModel.from_json(data())
    assert again.to_json() == model().to_json() and again.edges == model().edges and again.scored_at == "last"
    tokens = torch.randint(3, (50, 5), generator=torch.Generator().manual_seed(0))
    tokens[:, 0] = 3
    run, other = model().run(Inputs(tokens)), again.run(Inputs(tokens))
    assert all(torch.equal(values, other.values[name]) for name, values in run.values.items())
    assert torch.equal(run.scored, other.scored) and run.scored.any()


@pytest.mark.parametrize("name", ["twice", "only", "least"])
def test_a_mechanism_is_its_json(name: str):
    mechanism = model().variables[name].mechanism
    plain = json.loads(json.dumps(mechanism.to_json()))
    again = mechanism_from_json(plain, categorical=True)
    assert type(again) is type(mechanism) and again.to_json() == plain == mechanism.to_json()
    assert again.parents == mechanism.parents


Change = Callable[[dict[str, Any]], Any]


def mechanism(index: int, **changes: Any) -> Change:
    return lambda data: data["variables"][index]["mechanism"].update(changes)


def variable(index: int, **changes: Any) -> Change:
    return lambda data: data["variables"][index].update(changes)


TABLE = {"type": "table", "inputs": ["twice"], "table": [0, 1, 2, -1]}
NUMBER = {"type": "table", "inputs": ["tokens"], "table": [0.0, 1.0, 2.0, None]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (mechanism(0, members=[0, 3]), "variable 'twice': members: found 3, accepted is 0 to 2"),
        (mechanism(0, members=[-1, 1]), "variable 'twice': members: found -1, accepted is 0 to 2"),
        (mechanism(0, members=[1, 0]), r"'twice': members: found \[1, 0\], accepted is ids in ascending order"),
        (mechanism(0, members=[1, 1]), r"'twice': members: found \[1, 1\], accepted is ids in ascending order"),
        (mechanism(3, members=[0, 9]), "'least': members: found 9, accepted is 0 to 2"),
        (mechanism(0, members=[]), r"variable 'twice': members: found \[\], accepted is ids"),
        (mechanism(0, members=[0.5]), "variable 'twice': malformed: members: found 0.5, accepted is an integer"),
        (
            mechanism(0, members=[[0], [1]]),
            r"variable 'twice': malformed: members: found a list of dimension 2, accepted is one",
        ),
        (mechanism(0, members=0), "variable 'twice': malformed: members: found a list of dimension 0, accepted is"),
        (mechanism(0, members=[1 << 70]), "variable 'twice': malformed: .*[Oo]verflow"),
        (mechanism(0, relation="like"), "variable 'twice': malformed: "),
        (
            mechanism(0, relation=None),
            r"'twice': malformed: .*relation: found None with query 'tokens', accepted: \('s",
        ),
        (
            mechanism(2, relation="same"),
            r"'only': malformed: .*relation: found 'same' with query None, accepted: \(None",
        ),
        (mechanism(0, at_least=0), "'twice': malformed: at_least: found 0, accepted is an integer from 1"),
        (mechanism(0, at_least=1 << 70), "'twice': malformed: at_least: found 11.*, accepted is an integer from 1"),
        (mechanism(0, at_least="2"), "variable 'twice': malformed: "),
        (mechanism(0, at_least=True), "variable 'twice': malformed: .*at_least: found True"),
        (
            mechanism(0, more=1),
            "variable 'twice': malformed: mechanism lookup: found the field 'more', acc",
        ),
        (
            lambda data: data["variables"][0]["mechanism"].pop("members"),
            "'twice': members: found noth",
        ),
        (
            lambda data: data["variables"][0]["mechanism"].pop("value"),
            "'twice': value: found nothing",
        ),
        (
            mechanism(0, query="nothing"),
            "'twice': found parent 'nothing', which is not computed before it, acc",
        ),
        (mechanism(0, key="only"), "'twice': found parent 'only', which is not computed before it"),
        (mechanism(3, place_query="least"), "'least': found parent 'least', which is not computed before it"),
        (variable(0, values=["a", "b"]), r"'twice': values: found \('a', 'b'\), accepted is \('a', 'b', 'c'\)"),
        (variable(1, values=None, kind="numerical"), "'where': values: found None, accepted is"),
        (
            mechanism(1, query="indices"),
            r"'where': values of indices, compared with twice: found \(0, 1",
        ),
        (mechanism(3, place_query="only"), "'least': values of only, compared with indices: found"),
        (variable(1, mechanism=TABLE), "variable 'where': parent twice: found a lookup, accepted is none"),
    ],
)
def test_malformed(change: Change, message: str):
    malformed = data()
    change(malformed)
    with pytest.raises(ValueError, match=message):
        CausalModel.from_json(malformed)


@pytest.mark.parametrize("parent", ["key", "query"])
def test_numbers_cannot_be_compared(parent: str):
    malformed = data()
    malformed["variables"].insert(
        0, {"name": "number", "kind": "numerical", "values": None, "description": "", "mechanism": NUMBER}
    )
    mechanism(1, **{parent: "number"})(malformed)
    with pytest.raises(ValueError, match="variable 'twice': kind of number: found numerical, accepted is cat"):
        CausalModel.from_json(malformed)


def test_only_lookups_read_lookups():
    """What is ambiguous would be read as another entry of a table."""
    for of, accepted in (("tokens", True), ("twice", False), ("only", False)):
        changed = copy.deepcopy(data())
        changed["variables"][3] = {
            "name": "least",
            "kind": "categorical",
            "values": ["a", "b", "c"],
            "description": "",
            "mechanism": {**TABLE, "inputs": [of]},
        }
        if accepted:
            assert CausalModel.from_json(changed).answer.name == "least"
        else:
            with pytest.raises(ValueError, match=f"variable 'least': parent {of}: found a lookup, accepted is none"):
                CausalModel.from_json(changed)


def test_answers_at_the_last_token_alone():
    identity = Variable("same", ("a", "b"), Table(("tokens",), torch.tensor([0, -1, -1])))
    tokens = torch.tensor([[2, 0, 0, 3], [2, 1, 0, 0], [2, 0, 1, 3], [2, 0, 3, 3]])
    last = CausalModel("ab", 3, [identity], scored_at="last")
    everywhere = CausalModel("ab", 3, [identity])
    # In the third input the answer is undefined at its last token.
    assert last.run(Inputs(tokens)).scored.nonzero().tolist() == [[0, 2], [1, 3], [3, 1]]
    assert everywhere.run(Inputs(tokens)).scored.sum() == 6
    assert last.to("cpu").scored_at == "last"
    with pytest.raises(ValueError, match="scored_at: found 'never', accepted is 'all' or 'last'"):
        CausalModel.from_json({**last.to_json(), "scored_at": "never"})
    assert CausalModel.from_json({k: v for k, v in last.to_json().items() if k != "scored_at"}).scored_at == "all"
