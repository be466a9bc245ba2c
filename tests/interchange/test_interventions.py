"""Interchanges: which there are, what is vacuous, and answers under a choice per example."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tracr.rasp import rasp

from siit.causal import CausalModel, Inputs, Intervention, Interventions, Lookup, Variable
from siit.certificate import Answers
from siit.interchange import Pairs, permuted_positions
from siit.interchange.alignment import AlignmentConfig, derive_labels, draw_alignment
from siit.interchange.interventions import NONE, Interchanges, Shares, differs, inert_parts
from siit.tasks import Task
from siit.training.describe import interchange_shares
from siit.training.rasp import task_from_case
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.programs import (
    EVERY,
    NAMES,
    NEUTRAL,
    answer,
    causal_model,
    config_for,
    derive,
    encode,
    exclusions,
    interchanges,
    labels,
    own,
    task,
)


def draw(subject: Task, count: int = 24, seed: int = 0) -> tuple[Pairs, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    return Pairs(subject.sample(count, generator), subject.sample(count, generator)), generator


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_per_example_is_one_at_a_time(name: str):
    """Each example gets the answer of its own interchange, made on it alone with its variables and edges."""
    found = interchanges(name)
    model = found.model
    pairs, generator = draw(task(name))
    choice = torch.randint(len(found.names) + 1, (len(pairs),), generator=generator)
    positions = found.source_positions(pairs, choice, generator)
    run = found.answers(pairs, choice, positions)
    for row in range(len(pairs)):
        source = model.run(Inputs(pairs.source[row : row + 1], positions[row : row + 1])).values
        chosen = Interventions()
        if choice[row] != NONE:
            label = found.names[int(choice[row]) - 1]
            if label in found.labels.units:
                chosen = Interventions({v: Intervention(source[v]) for v in found.labels.units[label]})
            else:
                chosen = Interventions(edges={e: Intervention(source[e.parent]) for e in found.labels.edges[label]})
        single = model.run(Inputs(pairs.base[row : row + 1]), chosen)
        assert torch.equal(single.scored[0], run.scored[row])
        assert torch.allclose(
            single.output[0].double().nan_to_num(-7), run.output[row].double().nan_to_num(-7), atol=1e-6
        )


def test_choices():
    found = interchanges("frac_prevs")
    assert found.names[:2] == ("is_x", "frac_prevs") and found.n_units == 2
    assert set(found.names[2:]) == {
        "tokens->is_x",
        "indices->frac_prevs<q>",
        "indices->frac_prevs<k>",
        "is_x->frac_prevs<v>",
        "frac_prevs->output",
    }
    assert not any(found.constant)
    by_position = [name for name, moved in zip(found.names, found.position_only, strict=True) if moved]
    assert set(by_position) == {"indices->frac_prevs<q>", "indices->frac_prevs<k>"}


def test_no_interchange():
    found = interchanges("reverse")
    pairs, _ = draw(task("reverse"))
    run = found.answers(pairs, torch.full((len(pairs),), NONE))
    assert torch.equal(run.output, found.model.run(Inputs(pairs.base)).output)


def test_source_positions_move_only_where_an_exchange_is_of_positions():
    found = interchanges("reverse")
    pairs, generator = draw(task("reverse"))
    here = torch.arange(pairs.base.shape[1])
    for index, moved in enumerate((False, *found.position_only)):
        choice = torch.full((len(pairs),), index)
        positions = found.source_positions(pairs, choice, generator)
        assert bool((positions != here).any()) == moved
        fixed = pairs.source >= len(found.model.vocab)
        assert torch.equal(positions[fixed], here.expand_as(positions)[fixed])
    moved_names = [name for name, moved in zip(found.names, found.position_only, strict=True) if moved]
    assert set(moved_names) == {"indices->mirrored", "indices->reverse<k>"}


def test_what_is_constant():
    found = interchanges("histogram")
    constant = [name for name, same in zip(found.names, found.constant, strict=True) if same]
    assert constant == ["tokens->histogram_share<v>"]


def test_a_unit_is_exchanged_as_a_whole():
    found = interchanges("open_minus_close_fraction")
    (unit,) = [name for name in found.names[: found.n_units] if "+" in name]
    choice = torch.tensor([found.names.index(unit) + 1])
    pairs = Pairs(encode(found.model, "(ab"), encode(found.model, ")(b"))
    # Both flags of the source: -1, then 0 of 2, then 0 of 3; with the base's own is_open it would be 0 at first.
    assert answer(found.model, found.answers(pairs, choice), 3) == [-1, 0, 0]
    merged = next(name for name in found.names if name.startswith("tokens->"))
    assert merged == f"tokens->{unit}"
    choice = torch.tensor([found.names.index(merged) + 1])
    assert answer(found.model, found.answers(pairs, choice), 3) == [-1, 0, 0]


EXPECTED = {
    "detect_abc": set(),
    "first_token_everywhere": {"indices->first_token_everywhere<q>"},
    "frac_prevs": set(),
    "histogram": set(),
    "open_minus_close_fraction": set(),
    "reverse": {"tokens->length_share<q>"},
    "reverse_if_sorted": {"drop->drops_share<q>", "tokens->length_share<q>"},
    # It could only take padding away or add it, and both leave what is defined as it is.
    "sort_digits": {"tokens->sort_digits<k>"},
}


@pytest.mark.parametrize("name", NAMES)
def test_vacuous_parts_of_the_catalogue(name: str):
    found = exclusions(task(name))
    assert set(found) == EXPECTED[name]
    for edge, reason in found.items():
        child = edge.partition("->")[2].partition("<")[0]
        assert reason == f"its interchange changed {child} in none of 1024 pairs"


def test_vacuous_parts_at_one_length():
    """Then the length is known: its variables are out, and the mirrored index depends on positions only."""
    subject = dataclasses.replace(task("reverse"), min_len=9)
    found = exclusions(subject)
    same = "its value is the same in all of 1024 pairs"
    assert found == {"length_share": same, "length": same}
    config = config_for(subject)
    alignment = draw_alignment(subject.model, config, AlignmentConfig(), 0)
    circuit_exchanges = Interchanges(subject.model, derive_labels(subject.model, config, alignment, found))
    assert circuit_exchanges.names[:2] == ("mirrored", "reverse")
    moved = {n for n, moved in zip(circuit_exchanges.names, circuit_exchanges.position_only, strict=True) if moved}
    assert moved == {"mirrored", "indices->mirrored", "mirrored->reverse<q>", "indices->reverse<k>"}
    pairs, generator = draw(subject)
    base = subject.model.run(Inputs(pairs.base))
    for index, name in enumerate(circuit_exchanges.names):
        choice = torch.full((len(pairs),), index + 1)
        positions = circuit_exchanges.source_positions(pairs, choice, generator)
        run = circuit_exchanges.answers(pairs, choice, positions)
        assert (run.scored & differs(run.output, base.output)).any(), name


def test_a_variable_that_depends_on_positions_is_exchanged_as_such():
    def make() -> rasp.SOp:
        place = rasp.SelectorWidth(rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.LEQ)).named("place")
        return rasp.SequenceMap(lambda token, n: token if n > 1 else "b", rasp.tokens, place).named("late")

    case = own(make, causal=True)
    subject = task_from_case(case, build_causal_model(case))
    assert exclusions(subject) == {}
    found = Interchanges(subject.model, labels(subject))
    moved = {name for name, moved in zip(found.names, found.position_only, strict=True) if moved}
    assert {"place_share", "place", "place->late", "indices->place_share<q>"} <= moved


def test_what_carries_positions_and_tokens_at_once_has_the_source_s_own_positions():
    """Two variables in one MLP are exchanged together, though one of them depends on positions only."""

    def make() -> rasp.SOp:
        early = rasp.Map(lambda x: x < 2, rasp.indices).named("early")
        is_a = rasp.Map(lambda x: x == "a", rasp.tokens).named("is_a")
        return rasp.SequenceMap(lambda x, y: f"{x}{y}", early, is_a).named("both")

    model = build_causal_model(own(make))

    def permuted(nodes: dict[str, list[str]]) -> set[str]:
        found = Interchanges(model, derive(model, nodes))
        return {name for name, moved in zip(found.names, found.position_only, strict=True) if moved}

    apart = permuted({"early": ["m0"], "is_a": ["m1"], "both": ["m2"]})
    assert apart == {"early", "indices->early", "early->both"}
    assert permuted({"early": ["m0"], "is_a": ["m0"], "both": ["m1"]}) == {"indices->early"}


def test_what_no_longer_reaches_the_output():
    """`unused` changes, but nothing that reads it does; what it alone reads goes too."""

    def make() -> rasp.SOp:
        inner = rasp.Map(lambda x: x == "a", rasp.tokens).named("inner")
        unused = rasp.SequenceMap(lambda x, y: (x, y) == (True, 1), inner, rasp.indices).named("unused")
        return rasp.SequenceMap(lambda x, y: x, rasp.tokens, unused).named("same")

    case = own(make)
    subject = task_from_case(case, build_causal_model(case))
    reason = "nothing that it changes reaches the output"
    assert exclusions(subject) == {"inner": reason, "unused": reason}
    assert set(labels(subject).edges) == {"tokens->same", "same->output"}


def test_finding_nothing_is_an_answer_of_a_lookup():
    """Asked for another repeated token, a lookup finds nothing: that changes it, though it never finds another."""
    members = torch.tensor([0, 1, 2])
    twice = Variable("twice", tuple("abc"), Lookup("tokens", "tokens", "tokens", "same", 2, members))
    only = Variable("only", tuple("abc"), Lookup(None, "twice", "twice", None, 1, members))
    model = CausalModel("abc", 3, [twice, only])
    # Repeated in both is the third token, the second time at the same place.
    pairs = Pairs(encode(model, "abb", "caa", "bcc"), encode(model, "bcc", "abb", "caa"))
    found = inert_parts(model, pairs, torch.Generator())
    # Which slot is marked never differs.
    assert found == {"twice->only<k>": "its interchange changed only in none of 3 pairs"}
    run = model.run(Inputs(pairs.base))
    source = model.run(Inputs(pairs.source))
    for slot in "qk":
        (edge,) = [edge for edge in model.edges if str(edge) == f"tokens->twice<{slot}>"]
        exchanged = model.run(Inputs(pairs.base), Interventions(edges={edge: Intervention(source.values["tokens"])}))
        assert not differs(exchanged.values["twice"], run.values["twice"]).any()
        assert (exchanged.values["twice"] == -1).all() and (run.values["twice"] >= 0).sum() == 3


def test_what_cannot_be_exchanged_is_not_scored():
    found = interchanges("frac_prevs")
    pairs, generator = draw(task("frac_prevs"))
    interchangeable = torch.rand(len(pairs), generator=generator) < 0.5
    some = dataclasses.replace(pairs, interchangeable=interchangeable)
    choice = torch.randint(len(found.names) + 1, (len(pairs),), generator=generator)
    positions = found.source_positions(pairs, choice, generator)
    every, run = found.answers(pairs, choice, positions), found.answers(some, choice, positions)
    # Without an interchange any pair counts.
    kept = interchangeable | (choice == NONE)
    assert 0 < int(kept.sum()) < len(pairs) and (choice == NONE)[~interchangeable].any()
    assert torch.equal(run.scored, every.scored & kept.unsqueeze(1))
    assert torch.equal(run.output.nan_to_num(-7), every.output.nan_to_num(-7))
    never = found.shares(
        dataclasses.replace(pairs, interchangeable=torch.zeros_like(interchangeable)),
        Answers("numerical", 0.05),
        generator,
    )
    assert {share.changes for share in never.values()} == {0.0}


def test_an_output_that_never_changes():
    case = own(lambda: rasp.Map(lambda x: "a", rasp.tokens))
    with pytest.raises(ValueError, match="the output, own, is the same in all of 1024 pairs"):
        exclusions(task_from_case(case, build_causal_model(case)))


def test_differs():
    nan = torch.nan
    left, right = torch.tensor([[1.0, 1.0, nan, 0.5]]), torch.tensor([[1.0 + 1e-6, 2.0, 1.0, nan]])
    assert differs(left, right).tolist() == [[False, True, False, False]]
    assert differs(torch.tensor([[1, 2, -1]]), torch.tensor([[1, 3, 2]])).tolist() == [[False, True, False]]


@pytest.mark.parametrize("name", NAMES)
def test_every_exchange_but_the_constant_ones_can_change_the_answer(name: str):
    found = interchanges(name)
    pairs, generator = draw(task(name), 512)
    base = found.model.run(Inputs(pairs.base))
    for index, label in enumerate(found.names):
        choice = torch.full((len(pairs),), index + 1)
        run = found.answers(pairs, choice, found.source_positions(pairs, choice, generator))
        changed = (run.scored & base.scored & differs(run.output, base.output)).any()
        assert bool(changed) != (found.constant[index] or label in NEUTRAL), label


def test_permuted_sources_leave_what_does_not_depend_on_them():
    """`position_only` variables of a permuted source do not depend on its tokens."""
    model = causal_model("frac_prevs")
    pairs, generator = draw(task("frac_prevs"))
    positions = permuted_positions(pairs.source, len(model.vocab), generator)
    found = model.run(Inputs(pairs.source, positions)).values["indices"]
    assert torch.equal(found, positions - 1)


def test_shares_by_hand():
    """Of frac_prevs, at length 3 or 4: the flag differs unless 'x' stands at the same places."""
    found = interchanges("frac_prevs")
    base, source = encode(found.model, "xab", "axb", "abc"), encode(found.model, "xba", "abx", "xxx")
    shares = found.shares(Pairs(base, source), Answers("numerical", 0.05), torch.Generator().manual_seed(0))
    assert tuple(shares) == found.names
    assert shares["is_x"] == shares["frac_prevs"] == Shares(differs=2 / 3, changes=2 / 3)
    assert shares["tokens->is_x"] == Shares(differs=None, changes=2 / 3)


@pytest.mark.parametrize("name", EVERY)
def test_every_unit_differs_in_a_third_of_the_pairs(name: str):
    shares = interchange_shares(name)
    units = {unit: found.differs for unit, found in shares.items() if found.differs is not None}
    assert units
    assert not {unit for unit, differs in units.items() if differs < 1 / 3}
