"""The causal models against plain Python on lists of words, and answers worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from siit.causal import OUTPUT, CausalModel, HighLevelEdge, Inputs, Intervention, Interventions, Run
from siit.interchange import permuted_positions
from siit.training.ioi.words import NAMES
from tests.builders import ioi
from tests.builders.ioi import AMBIGUOUS, Reference, Sentence
from tests.builders.programs import encode

CASES = ("ioi", "ioi_full")
KINDS = ("roles", "order", "object", "subject", "names")


def model_of(case: str) -> CausalModel:
    return ioi.task(case).model


def edge_of(model: CausalModel, name: str) -> HighLevelEdge:
    (found,) = [edge for edge in model.edges if str(edge) == name]
    return found


def interventions(model: CausalModel, name: str, source: Run) -> Interventions:
    """Interchanges a variable or an edge, by its name."""
    if name in model.variables:
        return Interventions({name: Intervention(source.values[name])})
    edge = edge_of(model, name)
    return Interventions(edges={edge: Intervention(source.values[edge.parent])})


def interchanged(case: str, name: str, base: Inputs, source: Inputs) -> Run:
    model = model_of(case)
    return model.run(base, interventions(model, name, model.run(source)))


def interchanges_of(case: str) -> list[str]:
    model = model_of(case)
    return [*model.variables, *map(str, model.edges)]


INTERCHANGES = [(case, name) for case in CASES for name in interchanges_of(case)]


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_who_is_named_once(case: str):
    model, chosen = model_of(case), list(ioi.sentences(seed=0, each=20))
    run = model.run(ioi.inputs(model, chosen))
    for row, sentence in enumerate(chosen):
        mentioned = [word for word in sentence.words if word in NAMES]
        (subject,) = {name for name in mentioned if mentioned.count(name) == 2}
        (other,) = set(mentioned) - {subject}
        assert ioi.answer(model, run, row, len(sentence.words)) == other == sentence.indirect_object


def check(case: str, run: Run, row: int, expected: Reference, output: Sequence[Any], length: int) -> None:
    """All variables at all words, and the answer."""
    model = model_of(case)
    for name in model.variables:
        values = expected.name_mover(case) if name == "name_mover" else expected.values[name]
        assert ioi.read(model, run, name, row, length) == list(values), name
    right = None if output[-1] == AMBIGUOUS else output[-1]
    assert ioi.answer(model, run, row, length) == right


@pytest.mark.parametrize("case", CASES)
def test_all_variables(case: str):
    model, chosen = model_of(case), list(ioi.sentences(seed=1))
    run = model.run(ioi.inputs(model, chosen))
    for row, sentence in enumerate(chosen):
        expected = Reference(sentence.words)
        check(case, run, row, expected, expected.name_mover(case), len(sentence.words))


@pytest.mark.parametrize(("case", "name"), INTERCHANGES)
def test_every_interchange_with_every_kind_of_source(case: str, name: str):
    model = model_of(case)
    bases = list(ioi.sentences(seed=2))[len(name) % 6 :: 6]
    pairs = [(base, ioi.sources(base, seed)[kind]) for seed, base in enumerate(bases) for kind in KINDS]
    source_inputs = ioi.inputs(model, [source for _, source in pairs])
    tokens = source_inputs.tokens
    moved = permuted_positions(tokens, len(model.vocab), torch.Generator().manual_seed(0))
    for positions in (None, moved) if "indices" in name or case == "ioi_full" else (None,):
        run = interchanged(case, name, ioi.inputs(model, [base for base, _ in pairs]), Inputs(tokens, positions))
        for row, (base, source) in enumerate(pairs):
            length = len(base.words)
            places = None if positions is None else (positions[row, 1 : length + 1] - 1).tolist()
            there = Reference(source.words, places=places)
            values = {**there.values, "name_mover": there.name_mover(case)}
            if name in model.variables:
                expected = Reference(base.words, {name: values[name]})
                output = expected.name_mover(case)
            else:
                parent = edge_of(model, name).parent
                expected = Reference(base.words, edges={name: values[parent]})
                output = values["name_mover"] if name.endswith(OUTPUT) else expected.name_mover(case)
            check(case, run, row, expected, output, length)


SAME, SUBJECT, THIRD, UNDEFINED = "the indirect object", "the subject", "the source's indirect object", None
MEANING = {
    # Whatever says who is inhibited: with the roles swapped, the subject is left; with a subject that the base does
    # not know, both of its names are.
    "duplicate": (SUBJECT, SUBJECT, SAME, UNDEFINED, UNDEFINED),
    "s_inhibition": (SUBJECT, SUBJECT, SAME, UNDEFINED, UNDEFINED),
    "name_mover": (SUBJECT, SUBJECT, THIRD, SAME, THIRD),
    # What is asked for and what it is held against do not fit: nobody is marked, unless the subject is the same.
    "tokens->duplicate<q>": (UNDEFINED, UNDEFINED, SAME, UNDEFINED, UNDEFINED),
    "tokens->duplicate<k>": (UNDEFINED, None, SAME, UNDEFINED, UNDEFINED),
    "tokens->duplicate<v>": (SUBJECT, None, SAME, UNDEFINED, UNDEFINED),
    # The second mention is at the same place.
    "duplicate->s_inhibition<k>": (SAME, SAME, SAME, SAME, SAME),
    "duplicate->s_inhibition<v>": (SUBJECT, SUBJECT, SAME, UNDEFINED, UNDEFINED),
    "s_inhibition->name_mover<q>": (SUBJECT, SUBJECT, SAME, UNDEFINED, UNDEFINED),
    "tokens->name_mover<k>": (SUBJECT, None, SAME, UNDEFINED, UNDEFINED),
    "tokens->name_mover<v>": (SUBJECT, SAME, THIRD, SAME, THIRD),
    "name_mover->output": (SUBJECT, SUBJECT, THIRD, SAME, THIRD),
}
"""Of `ioi`: what the answer must be, by the kind of source; where the other order is None, it is not said here."""


def test_the_meaning_of_every_interchange_is_written_down():
    assert set(MEANING) == set(interchanges_of("ioi"))


@pytest.mark.parametrize("name", MEANING)
def test_the_meaning_of_interchanges(name: str):
    model, bases = model_of("ioi"), list(ioi.sentences(seed=3))
    for kind, meaning in zip(KINDS, MEANING[name], strict=True):
        if kind == "order" and meaning is None:
            continue
        chosen = [ioi.sources(base, seed)[kind] for seed, base in enumerate(bases)]
        run = interchanged("ioi", name, ioi.inputs(model, bases), ioi.inputs(model, chosen))
        for row, (base, source) in enumerate(zip(bases, chosen, strict=True)):
            meant = {SAME: base.indirect_object, SUBJECT: base.subject, THIRD: source.indirect_object, UNDEFINED: None}
            assert ioi.answer(model, run, row, len(base.words)) == meant[meaning], (kind, base.words)


def after(case: str, name: str, base: str, source: str) -> Any:
    """The answer of a sentence after one interchange with another."""
    model = model_of(case)
    run = interchanged(case, name, Inputs(encode(model, base.split())), Inputs(encode(model, source.split())))
    return ioi.answer(model, run, 0, len(base.split()))


MARY = "When Mary and John went to the store , John gave a drink to"
"""Mary is the answer; places: Mary 1, John 3, the second John 9."""
JOHN = "When John and Mary went to the store , Mary gave a drink to"
MARY_AGAIN = "When Mary and John went to the store , Mary gave a drink to"
ANNA = "When Anna and John went to the store , John gave a drink to"
PAUL = "When Mary and Paul went to the store , Paul gave a drink to"
STRANGERS = "When Anna and Paul went to the store , Paul gave a drink to"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("text", "expected"), [(MARY, "Mary"), (JOHN, "John"), (MARY_AGAIN, "John"), (ANNA, "Anna"), (PAUL, "Mary")]
)
def test_answers_by_hand(case: str, text: str, expected: str):
    assert after(case, "name_mover", text, text) == expected


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        # The source says that Mary is the subject: John is left.
        ("duplicate", JOHN, "John"),
        ("s_inhibition", JOHN, "John"),
        # It says that John is, as the base does.
        ("s_inhibition", ANNA, "Mary"),
        # It says that Paul is, of whom the base does not speak: Mary or John?
        ("s_inhibition", PAUL, None),
        ("s_inhibition", STRANGERS, None),
        # What the name mover copies stands where Mary stands in the base.
        ("tokens->name_mover<v>", JOHN, "John"),
        ("tokens->name_mover<v>", ANNA, "Anna"),
        # It attends to where John does not stand in the source, and finds John there twice.
        ("tokens->name_mover<k>", JOHN, "John"),
        # John is asked for at the second mention, and stands in the source only once.
        ("tokens->duplicate<k>", JOHN, None),
        ("tokens->duplicate<v>", JOHN, "John"),
        ("name_mover", STRANGERS, "Anna"),
    ],
)
def test_interchanges_by_hand(name: str, source: str, expected: str | None):
    assert after("ioi", name, MARY, source) == expected


def held(case: str, text: str, name: str) -> dict[str, Any]:
    """What a variable holds where it holds anything: word and its place -> value."""
    model, words = model_of(case), text.split()
    values = ioi.read(model, model.run(Inputs(encode(model, words))), name, 0, len(words))
    return {f"{word} {place}": value for place, (word, value) in enumerate(zip(words, values)) if value is not None}


def test_variables_by_hand():
    assert held("ioi", MARY, "duplicate") == {"John 9": "John"}
    since = {"John 9": "John", "gave 10": "John", "a 11": "John", "drink 12": "John", "to 13": "John"}
    assert held("ioi", MARY, "s_inhibition") == since
    assert held("ioi", MARY, "name_mover") == dict.fromkeys(since, "Mary")


def test_variables_of_the_full_circuit_by_hand():
    previous = held("ioi_full", MARY, "previous")
    assert "When 0" not in previous and previous["and 2"] == "Mary" and previous["went 4"] == "John"
    assert len(previous) == 13
    # John's first mention is at 3: what stands after it is at 4.
    assert held("ioi_full", MARY, "induction") == {"John 9": 4}
    assert held("ioi_full", MARY_AGAIN, "induction") == {"Mary 9": 2}
    assert held("ioi_full", MARY, "s_position") == {"John 9": 4, "gave 10": 4, "a 11": 4, "drink 12": 4, "to 13": 4}
    # Before the second mention nobody is inhibited.
    assert held("ioi_full", MARY, "name_mover") == dict.fromkeys(held("ioi_full", MARY, "s_position"), "Mary")


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        # With the names swapped, the place of the subject is the same, and so is the position signal.
        ("induction", JOHN, "Mary"),
        ("s_position", JOHN, "Mary"),
        # The signals contradict each other: Mary is inhibited at the first place by its name (1), John at the second
        # place by the place (2), and John's second mention by nothing.
        ("s_inhibition", JOHN, "John"),
        ("s_inhibition", MARY_AGAIN, "John"),
        # The other way round: John is inhibited by his name (1, twice), Mary by her place (2), so John is left.
        ("s_position", MARY_AGAIN, "John"),
        ("induction", MARY_AGAIN, "John"),
        # The name signal speaks of one who is not there, the position signal of John: no answer.
        ("s_inhibition", PAUL, None),
        ("s_inhibition->name_mover<q>", STRANGERS, None),
        # What is copied is looked for among Mary, John ... Mary: the second is inhibited by its name and its place, the
        # others by nothing, and the first of them is attended.
        ("tokens->name_mover<k>", MARY_AGAIN, "Mary"),
        ("s_position->name_mover<q>", MARY_AGAIN, "John"),
        # John stood at 1 in the source, so what stands there in the base is inhibited most: Mary.
        ("previous", JOHN, "John"),
        ("tokens->previous<v>", JOHN, "John"),
        # The source has no John before its second mention: no place is inhibited, and one signal alone is no answer.
        ("previous", STRANGERS, None),
        ("tokens->induction<q>", STRANGERS, None),
        # The source's John stands before the same place.
        ("previous", ANNA, "Mary"),
        ("tokens->name_mover<v>", ANNA, "Anna"),
    ],
)
def test_interchanges_of_the_full_circuit_by_hand(name: str, source: str, expected: str | None):
    assert after("ioi_full", name, MARY, source) == expected


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "text",
    [
        "When Mary and John went to the store , Anna gave a drink to",
        "When Mary and John went to Mary , John gave a drink to",
        "When the store went to the drink , a drink gave a drink to",
    ],
)
def test_no_answer(case: str, text: str):
    """Nobody is named twice, two are, or nobody is named at all."""
    assert after(case, "name_mover", text, text) is None


def test_two_repetitions_are_ambiguous():
    both = "When Mary and John went to Mary , John gave a drink to"
    assert held("ioi", both, "s_inhibition")["John 8"] == AMBIGUOUS
    assert held("ioi", both, "name_mover")["to 12"] == AMBIGUOUS
    # Of the places after Mary's and after John's first mention it is the further.
    assert held("ioi_full", both, "s_position")["to 12"] == 4
    # A name that is mentioned three times has two places after it.
    thrice = "When Mary and John went to John , John gave a drink to"
    assert held("ioi_full", thrice, "induction")["John 8"] == AMBIGUOUS
    assert held("ioi", thrice, "name_mover")["to 12"] == "Mary"


def test_answers_count_at_the_last_word_alone():
    model = model_of("ioi")
    run = model.run(Inputs(encode(model, MARY.split())))
    assert run.scored.nonzero().tolist() == [[0, 14]]
    assert Sentence("When {a} and {b}", True, "Mary", "John").words == ["When", "Mary", "and", "John"]


@pytest.mark.parametrize("case", CASES)
def test_as_data(case: str):
    """Read again from JSON, it holds the same."""
    model = model_of(case)
    again = CausalModel.from_json(model.to_json())
    given = ioi.inputs(model, list(ioi.sentences(seed=4)))
    run, other = model.run(given), again.run(given)
    assert again.edges == model.edges and torch.equal(run.scored, other.scored)
    assert all(torch.equal(values, other.values[name]) for name, values in run.values.items())
