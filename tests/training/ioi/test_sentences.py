"""What can be said: templates, words, and sentences as token ids."""

from __future__ import annotations

import itertools

import torch

from siit.tasks.sentences import OBJECT, ORDERS, PLACE, SUBJECT, A, B
from siit.training.ioi.templates import HELD_OUT_TEMPLATES, SLOTS, TEMPLATES
from siit.training.ioi.words import NAMES, OBJECTS, PLACES
from tests.builders import ioi

EVERY = (*TEMPLATES, *HELD_OUT_TEMPLATES)
TEXTS = ioi.task().sentences
BOS, PAD = len(TEXTS.tokens) - 2, len(TEXTS.tokens) - 1


def test_there_is_enough_to_say():
    assert len(TEMPLATES) >= 15 and len(HELD_OUT_TEMPLATES) >= 1
    assert all(len(words) >= 100 for words in (NAMES, PLACES, OBJECTS))
    assert len({len(template.split()) for template in TEMPLATES}) >= 5, "lengths vary"
    assert ORDERS == (B, A), "both orders"


def test_no_word_stands_for_two_things():
    literal = {word for template in EVERY for word in template.split()} - set(SLOTS)
    groups = [literal, NAMES, PLACES, OBJECTS]
    assert len(set().union(*groups)) == sum(len(group) for group in groups)
    assert len(set(EVERY)) == len(EVERY)


def test_held_out_templates_are_made_of_known_words():
    assert {word for template in HELD_OUT_TEMPLATES for word in template.split()} <= {
        word for template in TEMPLATES for word in template.split()
    }


def test_templates_have_every_slot_once_and_the_names_in_order():
    for template in EVERY:
        words = template.split()
        assert all(words.count(slot) == 1 for slot in SLOTS)
        places = [words.index(slot) for slot in ("{a}", "{b}", "{s}")]
        assert places == sorted(places)
        # The answer is what comes next.
        assert words[-1] in ("to", "for")


def test_skeletons_are_bos_a_template_and_padding():
    assert TEXTS.skeletons.shape[0] == 2 * len(EVERY) and TEXTS.n_trained == 2 * len(TEMPLATES)
    lengths = set()
    for index, (template, subject) in enumerate(itertools.product(EVERY, ORDERS)):
        row = TEXTS.skeletons[index].tolist()
        words = template.split()
        assert row[0] == BOS and BOS not in row[1:]
        assert row[len(words) + 1 :] == [PAD] * (len(row) - len(words) - 1)
        slots = {"{a}": A, "{b}": B, "{s}": subject, "{place}": PLACE, "{object}": OBJECT}
        expected = [slots[word] if word in slots else TEXTS.tokens.index(word) for word in words]
        assert row[1 : len(words) + 1] == expected
        assert SUBJECT not in row and row.count(subject) == 2
        lengths.add(len(words))
    assert max(lengths) + 1 == TEXTS.skeletons.shape[1], "the longest one has no padding"


def test_rendered_sentences_are_those_of_the_templates():
    """Every skeleton, with the ids of the words in their slots."""
    chosen = list(ioi.sentences(seed=5))
    ids = {word: index for index, word in enumerate(TEXTS.tokens)}
    # They come template by template; the second name is the subject first.
    rendered = TEXTS.render(
        torch.arange(len(chosen)),
        *(torch.tensor([ids[getattr(s, part)] for s in chosen]) for part in ("a", "b", "place", "thing")),
    )
    assert int(rendered.min()) >= 0, "no slot is left"
    assert ioi.words_of(rendered) == [sentence.words for sentence in chosen]
    names = set(TEXTS.names.tolist())
    for row, sentence in zip(rendered.tolist(), chosen, strict=True):
        mentioned = [index for index in row if index in names]
        assert sorted(mentioned.count(index) for index in set(mentioned)) == [1, 2]
        assert mentioned.count(ids[sentence.subject]) == 2 and mentioned[-1] == ids[sentence.subject]


def test_ids_of_the_fillers():
    for ids, words in ((TEXTS.names, NAMES), (TEXTS.places, PLACES), (TEXTS.objects, OBJECTS)):
        assert sorted(TEXTS.tokens[index] for index in ids) == sorted(words)
        assert bool((ids.diff() > 0).all())


def test_predictable_positions_by_brute_force():
    """Where all rendered training sentences that begin alike, fillers of a kind taken as one, go on with one word."""
    kind = {**dict.fromkeys(NAMES, "a name"), **dict.fromkeys(PLACES, "a place"), **dict.fromkeys(OBJECTS, "a thing")}
    beginnings: dict[tuple[str, ...], set[str | None]] = {}
    chosen = list(ioi.sentences(seed=6))
    rows = [[kind.get(word, word) for word in sentence.words] for sentence in chosen]
    for row in rows[: TEXTS.n_trained]:
        for end in range(len(row)):
            beginnings.setdefault(tuple(row[:end]), set()).add(row[end])
        beginnings.setdefault(tuple(row), set()).add(None)
    found = 0
    for index, row in enumerate(rows):
        expected = []
        for end in range(len(row) + 1):
            following = beginnings.get(tuple(row[:end]), set())
            word = next(iter(following)) if len(following) == 1 else None
            expected.append(word is not None and word not in kind.values())
        expected += [False] * (TEXTS.skeletons.shape[1] - len(expected))
        assert TEXTS.predictable[index].tolist() == expected
        found += sum(expected)
    assert found > 300


def test_predictable_positions_by_hand():
    """When {a} and {b} went ... and When {a} saw {b} ... begin alike, but the second is not learned."""
    row = TEXTS.predictable[
        TEMPLATES.index("When {a} and {b} went to the {place} , {s} gave a {object} to") * 2
    ].tolist()
    words = ["BOS", "When", "A", "and", "B", "went", "to", "the", "PLACE", ",", "S", "gave", "a", "OBJECT", "to"]
    assert [word for word, known in zip(words, row, strict=False) if known] == (
        # What comes next is: and, went, to, the, a comma, gave, a, to.
        ["A", "B", "went", "to", "PLACE", "S", "gave", "OBJECT"]
    )
    assert not any(row[len(words) - 1 :]), "neither the answer nor padding is a next word"
