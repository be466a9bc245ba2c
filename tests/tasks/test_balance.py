"""Balanced answers, by hand and in draws."""

from __future__ import annotations

import pytest
import torch
from tracr.rasp import rasp

from siit.causal import Inputs
from siit.tasks import ProgramPairSampler, Task
from siit.tasks.balance import REGARDLESS, answer_weights, value_weights
from siit.tasks.pairs import Split
from siit.training.rasp import task_from_case
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.programs import everything, own
from tracr_cases.shared import flag


def all_are_a() -> rasp.SOp:
    """Whether every token is 'a': 1 of 3 ^ length inputs."""
    share = rasp.numerical(rasp.Aggregate(everything(), flag(rasp.tokens, "a", "is_a"), default=0))
    return rasp.Map(lambda x: x == 1, share).named("all_are_a")


def is_a() -> rasp.SOp:
    return rasp.Map(lambda x: x == "a", rasp.tokens).named("is_a")


def task(make: object, balanced: bool = True, **changes: object) -> Task:
    case = own(make, balanced=balanced, **changes)  # type: ignore[arg-type]
    return task_from_case(case, build_causal_model(case))


def test_weights_by_hand():
    subject = task(is_a, vocab="ab", min_len=2, max_len=2)
    tokens = subject.frame(torch.tensor([[0, 0], [0, 1], [0, 1], [1, 1]]), torch.full((4,), 2))
    # 'a' is first in 3 of 4 and second in 1 of 4: 1 / (3/4 x 2) or 1 / (1/4 x 2), and the reverse for 'b'.
    common, rare = 1 / (3 / 4 * 2), 1 / (1 / 4 * 2)
    expected = torch.tensor([(common + rare) / 2, common, common, (rare + common) / 2], dtype=torch.float64)
    expected = REGARDLESS + (1 - REGARDLESS) * expected / expected.mean()
    torch.testing.assert_close(answer_weights(subject, tokens), expected)


def test_lengths_are_balanced_by_themselves():
    subject = task(all_are_a, min_len=1, max_len=2, vocab="ab")
    tokens = subject.enumerate()
    weights = answer_weights(subject, tokens)
    assert weights.mean().item() == pytest.approx(1)
    assert weights[0] == weights[1], "1 of 2 is all 'a'"
    assert ((weights[2] - REGARDLESS) / (weights[3] - REGARDLESS)).item() == pytest.approx(3), "1 of 4 is"


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(("max_len", "sampler"), [(6, "uniform"), (12, "often_equal")])
def test_rare_answers_are_drawn_as_often(split: Split, max_len: int, sampler: str):
    """In an enumerated space, where 1 of up to 729 inputs is all 'a', and in a large one."""
    subject = task(all_are_a, max_len=max_len, sampler=sampler)
    drawn_by = ProgramPairSampler(subject, split)
    assert drawn_by.enumerated == (sampler == "uniform")
    pairs = drawn_by.draw(8000, torch.Generator().manual_seed(0))
    for tokens in (pairs.base, pairs.source):
        lengths = (tokens < subject.bos_id).sum(1)
        answers = subject.model.run(Inputs(tokens)).output[:, 1]
        for length in lengths.unique():
            share = answers[lengths == length].double().mean().item()
            if drawn_by.enumerated or share:  # else its one input that is all 'a' is in another split
                assert share == pytest.approx((1 - REGARDLESS) / 2, abs=0.15)


def test_weights_by_value_by_hand():
    subject = task(all_are_a, vocab="ab", min_len=2, max_len=2)
    tokens = subject.frame(torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]), torch.full((4,), 2))
    found = value_weights(subject, tokens)
    assert set(found) == {*subject.model.variables, "output"}
    torch.testing.assert_close(found["output"], answer_weights(subject, tokens))
    # The share of 'a' is 1, 1/2, 1/2 and 0: each is drawn as often.
    expected = REGARDLESS + (1 - REGARDLESS) * 4 / 3 * torch.tensor([1, 0.5, 0.5, 1], dtype=torch.float64)
    (name,) = (name for name, variable in subject.model.variables.items() if variable.is_attention)
    torch.testing.assert_close(found[name], expected)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
