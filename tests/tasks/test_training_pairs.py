"""The pairs to train on: whose they are, and how often rare values meet."""

from __future__ import annotations

import pytest
import torch

from siit.causal import Inputs
from siit.tasks import ProgramPairSampler, Task
from siit.tasks.balance import REGARDLESS
from tests.builders import ioi, programs
from tests.tasks.test_balance import all_are_a, task

COUNT, LENGTH = 8000, 6


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def unbalanced(**changes: object) -> Task:
    return task(all_are_a, balanced=False, **changes)


def attention_of(subject: Task) -> str:
    """The variable that holds the share of 'a'."""
    (name,) = (name for name, variable in subject.model.variables.items() if variable.is_attention)
    return name


def test_half_of_the_pairs_stand_for_the_data():
    """Of inputs of length 6, 13 of 729 are taken for all 'a': a share of 5 / 6 is nearest to 1, as Tracr has it."""
    subject = unbalanced(max_len=LENGTH)
    drawn_by = subject.training_pairs()
    assert drawn_by.device == torch.device("cpu")
    pairs = drawn_by.draw(torch.zeros(COUNT, dtype=torch.int64), (), seeded())
    fresh = pairs.fresh
    assert fresh is not None and fresh.double().mean().item() == pytest.approx(0.5, abs=0.03)
    for tokens in (pairs.base, pairs.source):
        longest = (tokens < subject.bos_id).sum(1) == LENGTH
        answers = subject.model.run(Inputs(tokens)).output[:, 1].double()
        assert answers[longest & fresh].mean().item() < 0.04
        # Without an interchange both are drawn for rare answers.
        assert answers[longest & ~fresh].mean().item() == pytest.approx((1 - REGARDLESS) / 2, abs=0.15)


def test_sources_bring_rare_values_of_what_is_interchanged_beside_rare_values_of_the_base():
    """How many of 6 tokens are 'a' has seven values, each as frequent; drawn as the data is, few inputs have 5 or 6."""
    subject = unbalanced(max_len=LENGTH)
    share = attention_of(subject)
    choice = torch.full((COUNT,), 2)
    pairs = subject.training_pairs().draw(choice, ("output", share), seeded())
    counts = [(tokens == 0).sum(1) for tokens in (pairs.base, pairs.source)]
    longest = torch.stack([(t < subject.bos_id).sum(1) == LENGTH for t in (pairs.base, pairs.source)]).all(0)
    assert pairs.fresh is not None
    many = torch.stack(counts) >= LENGTH - 1
    fresh, rare = many[:, longest & pairs.fresh].double(), many[:, longest & ~pairs.fresh].double()
    natural = (2 * LENGTH + 1) / 3**LENGTH
    assert fresh.mean().item() == pytest.approx(natural, abs=0.02)
    assert rare[1].mean().item() == pytest.approx(REGARDLESS * natural + (1 - REGARDLESS) * 2 / 7, abs=0.05)
    # Of the bases some are drawn for their counts, the others for their answers: half of these are all 'a'.
    assert rare[0].mean().item() > 0.2
    assert (rare[0] * rare[1]).mean().item() == pytest.approx((rare[0].mean() * rare[1].mean()).item(), abs=0.03)


def test_each_interchange_has_its_own_variable():
    subject = unbalanced(max_len=LENGTH)
    share = attention_of(subject)
    choice = torch.arange(COUNT) % 2 + 1
    pairs = subject.training_pairs().draw(choice, ("output", share), seeded())
    assert pairs.fresh is not None
    longest = ((pairs.source < subject.bos_id).sum(1) == LENGTH) & ~pairs.fresh
    many = (pairs.source == 0).sum(1) >= LENGTH - 1
    by_answer, by_share = (many[longest & (choice == number)].double().mean().item() for number in (1, 2))
    assert by_answer == pytest.approx((1 - REGARDLESS) / 2, abs=0.1)
    assert by_share == pytest.approx((1 - REGARDLESS) * 2 / 7, abs=0.08)


def test_they_belong_to_the_training_split():
    subject = unbalanced(max_len=12, sampler="often_equal")
    held_out = {tuple(row) for row in ProgramPairSampler(subject, "test").draw(4000, seeded()).base.tolist()}
    pairs = subject.training_pairs().draw(torch.arange(4000) % 2, (attention_of(subject),), seeded(1))
    trained_on = {tuple(row) for row in [*pairs.base.tolist(), *pairs.source.tolist()]}
    assert len(held_out) > 1000 and not held_out & trained_on


def test_no_pair_of_an_enumerated_space_is_held_out():
    subject = unbalanced(max_len=4)
    held_out = ProgramPairSampler(subject, "test").draw(COUNT, seeded())
    trained_on = subject.training_pairs().draw(torch.arange(COUNT) % 2, (attention_of(subject),), seeded(1))
    one, other = (
        {(*b, *s) for b, s in zip(p.base.tolist(), p.source.tolist(), strict=True)} for p in (held_out, trained_on)
    )
    assert len(one) > 100 and not one & other


@pytest.mark.parametrize("name", ["frac_prevs", "palindrome_word"])
def test_answers_that_are_numbers_and_tasks_that_are_balanced_have_rare_values_too(name: str):
    subject = programs.task(name)
    names = tuple(subject.model.variables)
    drawn = subject.training_pairs().draw(torch.arange(64) % (len(names) + 1), names, seeded())
    assert drawn.fresh is not None and 0 < int(drawn.fresh.sum()) < 64


def test_all_pairs_of_sentences_stand_for_the_data():
    subject = ioi.task()
    drawn = subject.training_pairs().draw(torch.zeros(16, dtype=torch.int64), (), seeded())
    alone = subject.pairs("train").draw(16, seeded())
    assert drawn.fresh is None and torch.equal(drawn.base, alone.base) and torch.equal(drawn.source, alone.source)
