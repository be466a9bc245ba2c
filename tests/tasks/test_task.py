"""Tasks: sizes, tolerances, and how inputs are drawn."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from tracr.rasp import rasp

from siit.causal import CausalModel, Table, Variable
from siit.tasks import SAMPLERS, Task
from siit.training.rasp import task_from_case
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.programs import own, task


def test_sizes():
    subject = task("frac_prevs")
    assert (subject.bos_id, subject.pad_id, subject.d_vocab, subject.n_ctx) == (4, 5, 6, 5)
    assert (subject.answers.output, subject.d_vocab_out, subject.causal, subject.sampler) == (
        "numerical",
        1,
        True,
        "uniform",
    )
    assert (task("histogram").answers.output, task("histogram").d_vocab_out) == ("categorical", 10)
    assert task("reverse_if_sorted").sampler == "often_sorted"


def test_enumerate():
    subject = task("frac_prevs")
    tokens = subject.enumerate()
    assert len(tokens) == len(tokens.unique(dim=0)) == subject.input_count == 4**3 + 4**4
    assert tokens[0].tolist() == [4, 0, 0, 0, 5]
    assert tokens[-1].tolist() == [4, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "sorted"}, "frac_prevs: sampler: found 'sorted', accepted: uniform, often_sorted, often_desc"),
        ({"min_len": 0}, "frac_prevs: min_len: found 0, accepted are 1 to 4"),
        ({"min_len": 5}, "frac_prevs: min_len: found 5"),
        ({"balanced": True}, "frac_prevs: balanced: found true, accepted for numerical answers is false"),
    ],
)
def test_tasks_that_cannot_be(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(task("frac_prevs"), **changes)  # type: ignore[arg-type]


def test_tolerance():
    assert task("reverse").answers.tolerance is None
    # The smallest gap is 1/4 - 0 (the fourth position), of which half is more than 0.05.
    assert task("frac_prevs").answers.tolerance == 0.05
    # A gap of 1/9, of which half is more than 0.05 too.
    assert task("open_minus_close_fraction").answers.tolerance == 0.05


def numbers(*values: float) -> Task:
    """The tokens stand for these numbers."""
    table = torch.tensor([*values, torch.nan])
    vocab = "abcdef"[: len(values)]
    model = CausalModel(vocab, 4, [Variable("number", None, Table(("tokens",), table))])
    return Task("numbers", model, 3, causal=True)


def test_tolerance_of_small_gaps():
    assert numbers(0, 0.02, 1).answers.tolerance == pytest.approx(0.01)
    assert numbers(0, 0.5, 0.04, 0.1).answers.tolerance == pytest.approx(0.02)
    assert numbers(0, 1e-7, 1).answers.tolerance == 0.05, "rounding is no gap"
    assert numbers(3, 3).answers.tolerance == 0.05


def test_tolerance_is_by_position():
    """1 at the first position and 1.02 at the second are never confused."""

    def make() -> rasp.SOp:
        values = {"a0": 0, "b0": 1, "a1": 0, "b1": 1.02, "a2": 0.5, "b2": 1}
        return rasp.numerical(rasp.SequenceMap(lambda x, y: values[f"{x}{y}"], rasp.tokens, rasp.indices))

    case = own(make, vocab="ab", max_len=3)
    assert task_from_case(case, build_causal_model(case)).answers.tolerance == 0.05


def sample(name: str, lengths: Tensor, seed: int = 0) -> Tensor:
    """Tokens of a vocabulary of 30, -1 beyond each length."""
    tokens = SAMPLERS[name](30, lengths, 9, torch.Generator().manual_seed(seed))
    return tokens.masked_fill(torch.arange(9) >= lengths.unsqueeze(1), -1)


def ascending(tokens: Tensor, lengths: Tensor) -> Tensor:
    pairs = torch.arange(1, tokens.shape[1]) < lengths.unsqueeze(1)
    return ((tokens.diff(dim=1) >= 0) | ~pairs).all(1)


def test_uniform():
    tokens = sample("uniform", torch.full((20_000,), 9))
    shares = torch.bincount(tokens.flatten(), minlength=30) / tokens.numel()
    assert torch.allclose(shares, torch.tensor(1 / 30), atol=0.002)


def test_often_sorted():
    lengths = torch.randint(3, 10, (30_000,), generator=torch.Generator().manual_seed(1))
    tokens = sample("often_sorted", lengths)
    beyond = torch.arange(9) >= lengths.unsqueeze(1)
    assert ((tokens >= 0) == ~beyond).all() and int(tokens.max()) == 29
    long = lengths >= 7
    in_order = ascending(tokens, lengths)[long]
    # A quarter of the long ones is sorted, and of the swapped ones where the two were equal; of the uniform ones next
    # to none is, of those with one token anew about 2 in 9.
    assert 0.27 < in_order.double().mean() < 0.38
    drops = (tokens.diff(dim=1) < 0) & (torch.arange(1, 9) < lengths.unsqueeze(1))
    one = (drops.sum(1) == 1)[long].double().mean()
    assert 0.36 < one < 0.5, "two quarters are one change away from sorted"
    assert (drops.sum(1) > 1)[long].double().mean() > 0.2, "and a quarter is uniform"
    size = torch.where(drops, -tokens.diff(dim=1), 0).amax(1)
    close = (size[long & (drops.sum(1) == 1)] <= 4).double().mean()
    assert close > 0.4, "swapped neighbours differ by little"


def test_often_descending():
    lengths = torch.full((4000,), 9)
    assert torch.equal(sample("often_descending", lengths), 29 - sample("often_sorted", lengths))


def test_often_equal():
    lengths = torch.randint(3, 10, (30_000,), generator=torch.Generator().manual_seed(1))
    tokens = sample("often_equal", lengths)
    within = torch.arange(9) < lengths.unsqueeze(1)
    counts = torch.stack([((tokens == token) & within).sum(1) for token in range(30)]).amax(0)
    # A third, and of those with one place anew 1 in 30, or 1 in 3 where the place is the first: then all others follow.
    assert (counts == lengths).double().mean().item() == pytest.approx(1 / 3 + 1 / 90, abs=0.02)
    assert (counts == lengths - 1)[lengths > 4].double().mean().item() == pytest.approx(1 / 3 * 29 / 30, abs=0.02)


def test_often_repeated():
    tokens = sample("often_repeated", torch.full((30_000,), 9))
    kinds = torch.stack([(tokens == token).any(1) for token in range(30)]).sum(0)
    # Nine uniform tokens of 30 hardly ever are of four kinds or fewer; nine of three kinds sometimes are of two.
    assert (kinds <= 4).double().mean().item() == pytest.approx(0.5, abs=0.01)
    assert (kinds <= 2).double().mean().item() == pytest.approx(1 / 6 + 1 / 6 * (2**9 - 2) * 3 / 3**9, abs=0.01)
    shares = torch.bincount(tokens.flatten(), minlength=30) / tokens.numel()
    assert torch.allclose(shares, torch.tensor(1 / 30), atol=0.004)
    small = SAMPLERS["often_repeated"](2, torch.full((100,), 5), 5, torch.Generator().manual_seed(0))
    assert set(small.unique().tolist()) == {0, 1}, "a vocabulary of fewer than four tokens"


def test_uniform_counts():
    tokens = SAMPLERS["uniform_counts"](2, torch.full((20_000,), 9), 9, torch.Generator().manual_seed(0))
    counts = torch.bincount(tokens.sum(1), minlength=10) / len(tokens)
    assert torch.allclose(counts, torch.tensor(0.1), atol=0.01), "of two tokens, 0 to 9 times each as often"


def test_all_samplers_give_tokens_of_the_vocabulary():
    for name, sampler in SAMPLERS.items():
        assert sampler.__name__ == name  # type: ignore[attr-defined]
        tokens = sample(name, torch.full((1000,), 9), seed=2)
        assert tokens.min() >= 0 and tokens.max() < 30
        assert torch.equal(tokens, sample(name, torch.full((1000,), 9), seed=2))
