"""Pairs of sentences: what is held out, the kinds of sources, contrasts and probes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from functools import cache

import pytest
import torch
from torch import Tensor

from siit.causal import Inputs, Intervention, Interventions
from siit.interchange import Pairs, PairSampler
from siit.tasks import SentencePairSampler
from siit.tasks.pairs import Split
from siit.training.ioi.templates import HELD_OUT_TEMPLATES, TEMPLATES
from siit.training.ioi.words import NAMES, OBJECTS, PLACES
from tests.builders import ioi
from tests.builders.ioi import Sentence

SPLITS: tuple[Split, ...] = ("train", "val", "test")
DRAWS = 6_000
KIND = {**dict.fromkeys(PLACES, "{place}"), **dict.fromkeys(OBJECTS, "{object}")}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parsed(words: list[str]) -> Sentence:
    """The sentence that reads so."""
    a, b, subject = (word for word in words if word in NAMES)
    slots = iter(("{a}", "{b}", "{s}"))
    template = " ".join(next(slots) if word in NAMES else KIND.get(word, word) for word in words)
    (place,), (thing,) = ([word for word in words if word in kind] for kind in (PLACES, OBJECTS))
    assert a != b and subject in (a, b) and template in (*TEMPLATES, *HELD_OUT_TEMPLATES)
    return Sentence(template, subject == a, a, b, place, thing)


def sentences(tokens: Tensor) -> list[Sentence]:
    return [parsed(words) for words in ioi.words_of(tokens)]


@cache
def drawn(split: Split, case: str = "ioi") -> tuple[list[Sentence], list[Sentence], list[bool]]:
    """Bases, sources, and whether they are interchangeable."""
    pairs = ioi.task(case).pairs(split).draw(DRAWS, generator())
    assert pairs.interchangeable is not None
    return sentences(pairs.base), sentences(pairs.source), pairs.interchangeable.tolist()


@pytest.mark.parametrize("part", [pytest.param("names", marks=pytest.mark.slow), "place and object"])
def test_splits_share_no_pair_of_names_nor_of_fillers(part: str):
    """Bases and sources; names in either order."""
    seen = {}
    for split in SPLITS:
        chosen = [sentence for side in drawn(split)[:2] for sentence in side]
        seen[split] = {frozenset((s.a, s.b)) if part == "names" else (s.place, s.thing) for s in chosen}
    assert not seen["train"] & seen["val"] and not seen["train"] & seen["test"] and not seen["val"] & seen["test"]
    assert len(seen["train"]) > 4 * len(seen["test"])


@pytest.mark.parametrize("split", SPLITS)
def test_all_words_and_templates_occur_in_every_split(split: Split):
    bases = drawn(split)[0]
    # Few pairs of names are held out, so that some names may be in none of them.
    for names in ({s.a for s in bases}, {s.b for s in bases}):
        assert len(names) == len(NAMES) if split == "train" else len(names) > 0.9 * len(NAMES)
    assert {s.place for s in bases} == set(PLACES) and {s.thing for s in bases} == set(OBJECTS)
    skeletons = Counter((s.template, s.subject_is_first) for s in bases)
    assert {template for template, _ in skeletons} == set(TEMPLATES), "held-out templates are only probed"
    assert len(skeletons) == 2 * len(TEMPLATES)
    assert min(skeletons.values()) > 0.7 * DRAWS / len(skeletons)


def test_a_split_is_the_same_for_every_seed():
    one, other = (ioi.task().pairs("test", seed=seed) for seed in (0, 5))
    assert isinstance(one, SentencePairSampler) and isinstance(other, SentencePairSampler)
    assert torch.equal(one.partners, other.partners) and torch.equal(one.fillers, other.fillers)
    assert torch.equal(one.partners, one.partners.T)


def kind_of(base: Sentence, source: Sentence) -> str:
    if (base.template, base.a, base.b) == (source.template, source.a, source.b) and base.subject != source.subject:
        return "order"
    if (base.template, base.subject_is_first) != (source.template, source.subject_is_first):
        return "another skeleton"
    same = (base.subject == source.subject, base.indirect_object == source.indirect_object)
    if same == (False, False):
        return "roles" if {base.a, base.b} == {source.a, source.b} else "names"
    return {(True, True): "same", (True, False): "object", (False, True): "subject"}[same]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("ioi", {"roles": 0.45, "object": 0.1, "subject": 0.05, "names": 0.15}),
        ("ioi_full", {"roles": 0.25, "order": 0.25, "object": 0.1, "subject": 0.05, "names": 0.1}),
    ],
)
def test_shares_of_the_kinds_of_sources(case: str, expected: dict[str, float]):
    bases, sources, interchangeable = drawn("train", case)
    pairs = [pair for pair, can in zip(zip(bases, sources), interchangeable) if can]
    found = Counter(kind_of(base, source) for base, source in pairs)
    assert {kind: found[kind] / DRAWS for kind in expected} == pytest.approx(expected, abs=0.02)
    # By chance another name, or other names, are the same ones.
    assert found["same"] < 0.01 * DRAWS and set(found) <= {*expected, "same"}


def test_what_is_not_interchangeable_is_any_sentence():
    bases, sources, interchangeable = drawn("train")
    others = [kind_of(base, source) for base, source, can in zip(bases, sources, interchangeable) if not can]
    assert len(others) / DRAWS == pytest.approx(0.25, abs=0.02)
    share = sum(kind != "another skeleton" for kind in others) / len(others)
    assert share == pytest.approx(1 / (2 * len(TEMPLATES)), abs=0.015), "the base's skeleton by chance alone"


@pytest.mark.parametrize("case", ["ioi", "ioi_full"])
def test_between_the_same_two_names_every_unit_leads_to_an_answer(case: str):
    task = ioi.task(case)
    pairs = task.pairs("test").draw(1000, generator())
    kinds = [kind_of(base, source) for base, source in zip(sentences(pairs.base), sentences(pairs.source))]
    same_names = torch.tensor([kind in ("roles", "order") for kind in kinds])
    source = task.model.run(Inputs(pairs.source))
    for name in task.model.variables:
        run = task.model.run(Inputs(pairs.base), Interventions({name: Intervention(source.values[name])}))
        assert bool(run.scored.any(1)[same_names].all())


def test_a_seed_is_a_draw():
    def draw(seed: int, split: Split = "train") -> Tensor:
        pairs = ioi.task().pairs(split).draw(64, generator(seed))
        assert pairs.interchangeable is not None
        return torch.cat([pairs.base, pairs.source, pairs.interchangeable.unsqueeze(1)], 1)

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4)) and not torch.equal(draw(3), draw(3, "val"))


def test_samplers():
    task = ioi.task()
    sampler = task.pairs("val")
    assert isinstance(sampler, PairSampler) and sampler.device == torch.device("cpu")
    pairs = task.sample_pairs(50, generator())
    assert isinstance(pairs, Pairs) and len(pairs) == 50
    train = {frozenset((s.a, s.b)) for s in drawn("val")[0]}
    assert not train & {frozenset((s.a, s.b)) for s in sentences(pairs.base)}, "training pairs"
    assert task.sample(7, generator()).shape == (7, task.n_ctx)
    assert task.input_count == 2 * len(TEMPLATES) * len(NAMES) * (len(NAMES) - 1) * len(PLACES) * len(OBJECTS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pairs_live_where_they_are_drawn():
    pairs = ioi.task().pairs("train", "cuda").draw(16, torch.Generator("cuda").manual_seed(0))
    assert pairs.interchangeable is not None
    assert {tensor.device.type for tensor in (pairs.base, pairs.source, pairs.interchangeable)} == {"cuda"}
    sentences(pairs.base.cpu())


def test_too_few_names():
    task = ioi.task()
    two = dataclasses.replace(task, sentences=dataclasses.replace(task.sentences, names=task.sentences.names[:2]))
    refused = []
    for split in SPLITS:
        try:
            two.pairs(split)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) == 2, "their one pair belongs to one split"
    assert all(message.startswith("ioi: 2 names are too few to hold a ") for message in refused)


@pytest.mark.parametrize("case", ["ioi", "ioi_full"])
def test_contrasts(case: str):
    task = ioi.task(case)
    base = task.pairs("test").draw(300, generator()).base
    found = task.contrasts(base, generator())
    assert set(found) == {"roles_exchanged", "third_name"}
    thirds: Counter[str] = Counter()
    for before, roles, third in zip(
        sentences(base), sentences(found["roles_exchanged"]), ioi.words_of(found["third_name"]), strict=True
    ):
        assert roles == ioi.swapped_roles(before)
        changed = [place for place, (old, new) in enumerate(zip(before.words, third, strict=True)) if old != new]
        second = [place for place, word in enumerate(before.words) if word == before.subject][1]
        assert changed == [second], "only the second mention"
        assert third[second] in NAMES and third[second] not in (before.a, before.b)
        thirds[third[second]] += 1
    assert len(thirds) > 80, "any other name"
    assert task.model.run(Inputs(found["roles_exchanged"])).scored.sum() == 300
    assert not task.model.run(Inputs(found["third_name"])).scored.any(), "there is no answer"


def test_held_out_templates_are_probed():
    task = ioi.task()
    probes = task.reported_inputs(400, generator())
    assert set(probes) == {"held_out_templates"}
    probe = probes["held_out_templates"]
    chosen = sentences(probe.tokens)
    assert {s.template for s in chosen} == set(HELD_OUT_TEMPLATES) and {s.subject_is_first for s in chosen} == {0, 1}
    train = {frozenset((s.a, s.b)) for s in drawn("train")[0]}
    assert not train & {frozenset((s.a, s.b)) for s in chosen}
    for sentence, target, scored in zip(chosen, probe.target, probe.scored, strict=True):
        last = len(sentence.words)
        assert scored.nonzero().flatten().tolist() == [last]
        assert task.model.vocab[int(target[last])] == sentence.indirect_object


def test_next_tokens_are_probed_where_they_are_determined():
    """By brute force over the rendered sentences of the training templates, names and fillers taken by their kind."""
    task = ioi.task("ioi_next_token")
    probes = task.reported_inputs(300, generator())
    assert set(probes) == {"held_out_templates", "next_token"}
    probe = probes["next_token"]
    kinds = {**KIND, **dict.fromkeys(NAMES, "a name")}
    following: dict[tuple[str, ...], set[str]] = {}
    for template in TEMPLATES:
        row = [kinds.get(word, word) for word in Sentence(template, True, "Mary", "John").words]
        for end in range(len(row)):
            following.setdefault(tuple(row[:end]), set()).add(row[end])
        following.setdefault(tuple(row), set()).add("nothing")
    counted = 0
    for words, target, scored in zip(ioi.words_of(probe.tokens), probe.target, probe.scored, strict=True):
        assert not scored[0] and not scored[len(words) :].any(), "neither at BOS nor at the last word nor at padding"
        for place in range(1, len(words)):
            next_words = following[tuple(kinds.get(word, word) for word in words[:place])]
            determined = len(next_words) == 1 and not next_words & {*kinds.values(), "nothing"}
            assert bool(scored[place]) == determined
            if determined:
                assert task.model.vocab[int(target[place])] == words[place] == next(iter(next_words))
                counted += 1
        assert not target[~scored].any()
    assert counted > 1000


@pytest.mark.parametrize("case", ["ioi", "ioi_next_token"])
def test_further_evidence(case: str):
    task = ioi.task(case)
    base = task.pairs("test").draw(40, generator()).base
    found = task.further_evidence(base, seed=1)
    kinds = {"contrast/roles_exchanged", "contrast/third_name", "probe/held_out_templates"}
    kinds |= {"probe/next_token"} if case == "ioi_next_token" else set()
    assert set(found) == {f"{kind}/{field}" for kind in kinds for field in ("tokens", "target", "scored")}
    for name, tensor in found.items():
        assert tensor.shape == base.shape
        assert tensor.dtype == (torch.bool if name.endswith("scored") else torch.int64)
    subject = task.model.run(Inputs(base)).values["duplicate"].amax(1)
    assert torch.equal(found["contrast/roles_exchanged/target"].amax(1), subject)
    again = task.further_evidence(base, seed=1)
    assert all(torch.equal(tensor, again[name]) for name, tensor in found.items())
    other = task.further_evidence(base, seed=2)
    assert not torch.equal(other["contrast/third_name/tokens"], found["contrast/third_name/tokens"])


def test_the_fingerprint_tells_tasks_apart():
    notes = [ioi.task(case).fingerprint() for case in ("ioi", "ioi_full")]
    assert notes[0]["sentences"] == notes[1]["sentences"] and notes[0]["causal_model"] != notes[1]["causal_model"]
    task = ioi.task()
    fewer = dataclasses.replace(task, sentences=dataclasses.replace(task.sentences, names=task.sentences.names[:50]))
    assert fewer.fingerprint()["sentences"] != notes[0]["sentences"]
    assert ioi.task().fingerprint() == notes[0]


def test_permuted_positions():
    """Two mentions, each with the word after it, take each other's places; all else stays."""
    task = ioi.task("ioi_full")
    pairs = task.sample_pairs(DRAWS, generator())
    found = task.permuted_positions(pairs, generator(1))
    assert torch.equal(found, task.permuted_positions(pairs, generator(1)))
    own = torch.arange(found.shape[1]).expand_as(found)
    assert torch.equal(found.sort(1).values, own)
    names, in_base = (torch.isin(tokens, task.sentences.names) for tokens in (pairs.source, pairs.base))
    assert pairs.interchangeable is not None
    assert bool((names != in_base)[~pairs.interchangeable].any()), "sources of other templates keep PAD in place too"
    assert torch.equal((found == own) | names | names.roll(1, 1), torch.ones_like(names))
    assert torch.equal(found[names.roll(1, 1)], found[names] + 1)
    places, mentions = found[names].view(-1, 3), own[names].view(-1, 3)
    tokens = pairs.base[in_base].view(-1, 3)
    subject_is_first = tokens[:, 0] == tokens[:, 2]
    # In sentences of ABBA and of BABA: the first two change places, or those that are not the subject's first.
    for order, others, share in ((~subject_is_first, [2, 1, 0], 0.25), (subject_is_first, [0, 2, 1], 0.5)):
        first_two, rest = ((places == mentions[:, swapped]).all(1)[order] for swapped in ([1, 0, 2], others))
        assert torch.equal(first_two, ~rest)
        assert abs(first_two.double().mean() - share) < 0.02


@pytest.mark.slow
def test_which_interchanges_of_positions_have_an_answer():
    """Between sentences of the same names all but one in eight of the previous-token head's, and no other lacks one."""
    task = ioi.task("ioi_full")
    found = ioi.plan("ioi_full").interchanges
    pairs, names = task.sample_pairs(2_000, generator()), task.sentences.names
    assert pairs.interchangeable is not None
    first, second = (tokens[torch.isin(tokens, names)].view(-1, 3) for tokens in (pairs.base, pairs.source))
    of_both = pairs.interchangeable & torch.tensor([set(a) == set(b) for a, b in zip(first.tolist(), second.tolist())])
    base = task.model.run(Inputs(pairs.base))
    for index, name in enumerate(found.names):
        choice = torch.full((len(pairs),), index + 1)
        run = found.answers(pairs, choice, found.source_positions(pairs, choice, generator(1)))
        scored = run.scored.any(1)[of_both].double().mean()
        assert scored == 1 if "indices->previous" not in name else abs(scored - 7 / 8) < 0.03, name
        if found.position_only[index]:
            changed = ((run.output != base.output) & run.scored).any(1)[of_both].double().mean()
            assert abs(changed - (1 / 4 if "indices->previous" in name else 3 / 8)) < 0.03, name


@pytest.mark.slow
@pytest.mark.ci
def test_training_interchanges_what_depends_on_positions_by_the_task_s_permutations():
    plan = ioi.plan("ioi_full")
    pairs = plan.task.sample_pairs(64, generator())
    names = list(plan.interchanges.names)
    own = torch.arange(pairs.base.shape[1]).expand_as(pairs.base)
    for interchange, expected in (
        ("indices->name_mover<k>", plan.task.permuted_positions(pairs, generator(1))),
        ("tokens->name_mover<k>", own),
    ):
        choice = torch.full((len(pairs),), names.index(interchange) + 1)
        assert torch.equal(plan.interchanges.source_positions(pairs, choice, generator(1)), expected)
