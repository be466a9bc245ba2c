"""Pairs: splits that share nothing held out, all lengths, draws that a seed repeats."""

from __future__ import annotations

import dataclasses
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from tracr.rasp import rasp

from siit.interchange import permuted_positions
from siit.tasks import ProgramPairSampler, Task
from siit.tasks.pairs import REARRANGED, Split
from siit.training.rasp import task_from_case
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.programs import NAMES, own, task

SPLITS: tuple[Split, ...] = ("train", "val", "test")
DRAWS = 20_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lengths(subject: Task, tokens: Tensor) -> Tensor:
    return (tokens < subject.bos_id).sum(1)


def keys(subject: Task, tokens: Tensor) -> list[int]:
    """A number for each row, the same for the same tokens."""
    places = torch.tensor([subject.d_vocab**place for place in range(tokens.shape[1])])
    return (tokens * places).sum(1).tolist()


@cache
def sampler(name: str, split: Split) -> ProgramPairSampler:
    return ProgramPairSampler(task(name), split)


def tiny(vocab: str, min_len: int, max_len: int) -> Task:
    case = own(lambda: rasp.Map(lambda x: x, rasp.tokens), vocab=vocab, min_len=min_len, max_len=max_len)
    return task_from_case(case, build_causal_model(case))


@pytest.mark.parametrize("name", ["frac_prevs", "histogram"])
def test_splits_of_an_enumerated_space_share_no_pair(name: str):
    subject = task(name)
    seen: dict[str, set[tuple[int, int]]] = {}
    inputs: dict[str, set[int]] = {}
    for split in SPLITS:
        assert sampler(name, split).enumerated
        pairs = sampler(name, split).draw(DRAWS, generator())
        seen[split] = set(zip(keys(subject, pairs.base), keys(subject, pairs.source), strict=True))
        inputs[split] = {key for pair in seen[split] for key in pair}
    assert not seen["train"] & seen["val"] and not seen["train"] & seen["test"] and not seen["val"] & seen["test"]
    if name == "frac_prevs":
        assert inputs["train"] == inputs["val"] == inputs["test"] and len(inputs["test"]) == subject.input_count == 320


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detect_abc", "reverse_if_sorted"])
def test_splits_of_a_large_space_share_no_input(name: str):
    inputs: dict[str, set[tuple[int, ...]]] = {}
    for split in SPLITS:
        assert not sampler(name, split).enumerated
        inputs[split] = set(map(tuple, sampler(name, split).tokens.tolist()))
    assert not inputs["train"] & (inputs["val"] | inputs["test"]) and not inputs["val"] & inputs["test"]
    assert len(inputs["train"]) > 6 * len(inputs["test"])


def test_a_sampler_weighs_enumerated_inputs():
    """Of the 8 inputs of three tokens, all counts of 'b' are drawn alike, not 1, 3, 3, 1 times of 8."""
    subject = dataclasses.replace(tiny("ab", 3, 5), sampler="uniform_counts")
    drawn_by = ProgramPairSampler(subject, "train")
    assert drawn_by.enumerated and len(drawn_by.tokens) == subject.input_count == 8 + 16 + 32
    base = drawn_by.draw(DRAWS, generator()).base
    three = base[lengths(subject, base) == 3]
    counts = torch.bincount((three[:, 1:4] == 1).sum(1), minlength=4) / len(three)
    assert torch.allclose(counts, torch.tensor(0.25), atol=0.03)


def test_a_sampler_weighs_what_a_pool_holds_several_times():
    """Of twelve tokens "b" is one or eleven as often as six; of the different inputs 12, 12 and 924 of 4,096 are so."""
    subject = dataclasses.replace(tiny("ab", 3, 16), sampler="uniform_counts")
    drawn_by = ProgramPairSampler(subject, "train")
    assert not drawn_by.enumerated
    base = drawn_by.draw(200_000, generator()).base
    twelve = base[lengths(subject, base) == 12]
    counts = torch.bincount((twelve[:, 1:13] == 1).sum(1), minlength=13) / len(twelve)
    # A fifth of the inputs is of other splits: of few inputs the share may be a good deal smaller.
    assert 0.05 < counts[6] < 0.12 and counts[1] + counts[11] > 0.07


def test_rearranged_sources():
    """Half of the sources are the base in another order; no split has the tokens of another's input, in any order."""
    subject = dataclasses.replace(task("detect_abc"), rearranged=True)
    seen = []
    for split in SPLITS:
        pairs = ProgramPairSampler(subject, split).draw(DRAWS, generator())
        base, source = pairs.base.sort(1).values, pairs.source.sort(1).values
        same = (base == source).all(1)
        assert 0.5 < same.double().mean() < 0.65, "others are the same tokens by chance"
        assert (pairs.base != pairs.source)[same].any(1).double().mean() > 0.5
        assert (pairs.source[:, 0] == subject.bos_id).all()
        assert ((pairs.source == subject.pad_id).sum(1) == (pairs.base == subject.pad_id).sum(1))[same].all()
        seen.append({*keys(subject, base), *keys(subject, source)})
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def test_another_seeds_training_inputs_are_not_held_out_here():
    """An input's split is its own, whatever the seed of the pool."""
    train, test = ProgramPairSampler(task("detect_abc"), "train", seed=1), sampler("detect_abc", "test")
    assert not set(map(tuple, train.tokens.tolist())) & set(map(tuple, test.tokens.tolist()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", SPLITS)
def test_lengths(name: str, split: Split):
    """All occur alike; of a causal task's inputs half have the greatest one."""
    subject = task(name)
    pairs = sampler(name, split).draw(DRAWS, generator())
    possible = range(subject.min_len, subject.model.max_len + 1)
    expected = torch.tensor([1 / len(possible)] * len(possible))
    if subject.causal:
        expected = expected / 2
        expected[-1] += 0.5
    for tokens in (pairs.base, pairs.source):
        counts = torch.bincount(lengths(subject, tokens), minlength=subject.n_ctx)
        assert counts[: subject.min_len].sum() == 0
        assert torch.allclose(counts[subject.min_len :] / DRAWS, expected, atol=0.02)
    same = (lengths(subject, pairs.base) == lengths(subject, pairs.source)).double().mean()
    by_length = 0.5 + 0.5 * float(expected.square().sum())
    alike = REARRANGED + (1 - REARRANGED) * by_length if subject.rearranged else by_length
    assert same == pytest.approx(alike, abs=0.02)


@pytest.mark.parametrize("name", ["histogram", "detect_abc"])
def test_inputs_are_bos_tokens_padding(name: str):
    subject = task(name)
    pairs = sampler(name, "val").draw(500, generator())
    for tokens in (pairs.base, pairs.source):
        slots, size = torch.arange(subject.n_ctx), lengths(subject, tokens).unsqueeze(1)
        assert (tokens[:, 0] == subject.bos_id).all()
        assert ((tokens == subject.pad_id) == (slots > size)).all()
    assert len(pairs) == 500


@pytest.mark.parametrize("name", ["frac_prevs", pytest.param("detect_abc", marks=pytest.mark.slow)])
def test_a_seed_is_a_draw(name: str):
    def draw(drawn_by: ProgramPairSampler, seed: int = 3) -> Tensor:
        pairs = drawn_by.draw(64, generator(seed))
        return torch.stack([pairs.base, pairs.source])

    found = draw(sampler(name, "train"))
    assert torch.equal(found, draw(ProgramPairSampler(task(name), "train")))
    assert not torch.equal(found, draw(sampler(name, "train"), seed=4))
    assert not torch.equal(found, draw(ProgramPairSampler(task(name), "train", seed=1)))


def test_pairs_of_a_length_with_few_inputs():
    """Of length 3 there are 8 inputs, too few to keep their pairs with one another apart: they are bases."""
    subject = tiny("ab", 3, 5)
    seen = []
    for split in SPLITS:
        pairs = ProgramPairSampler(subject, split).draw(DRAWS, generator())
        assert set(lengths(subject, pairs.base).tolist()) == {3, 4, 5}
        assert set(lengths(subject, pairs.source).tolist()) == {4, 5}
        seen.append(set(zip(keys(subject, pairs.base), keys(subject, pairs.source), strict=True)))
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]


def test_a_space_that_is_too_small():
    with pytest.raises(ValueError, match="own: 8 inputs are too few to hold a test split out"):
        ProgramPairSampler(tiny("ab", 3, 3), "test")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 16), st.sampled_from(["frac_prevs", "reverse", "detect_abc"]))
def test_permuted_positions(seed: int, name: str):
    subject = task(name)
    tokens = subject.sample(16, generator(seed))
    positions = permuted_positions(tokens, len(subject.model.vocab), generator(seed))
    own_positions = torch.arange(subject.n_ctx)
    assert torch.equal(positions.sort(1).values, own_positions.expand_as(positions)), "a permutation"
    fixed = tokens >= len(subject.model.vocab)
    assert torch.equal(positions[fixed], own_positions.expand_as(positions)[fixed]), "BOS and padding stay"
    assert (positions != own_positions).any(), "tokens move"


def test_all_permutations_occur():
    subject = task("frac_prevs")
    tokens = subject.frame(torch.zeros(600, 4, dtype=torch.int64), torch.full((600,), 3))
    positions = permuted_positions(tokens, 4, generator())
    assert len(positions.unique(dim=0)) == 6
