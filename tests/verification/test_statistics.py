"""What is drawn and counted by a verifier: the chance of errors, pairs of several samplers, all pairs there are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from siit.interchange import inert_parts
from siit.verification.fresh import Both, chance_of, coverage_findings, exhaustive_findings, inert_findings
from tests.builders.ioi import task as ioi_task
from tests.builders.programs import task


@pytest.mark.parametrize(("wrong", "positions", "rate"), [(1, 10, 0.1), (3, 20, 0.1), (2, 50, 0.01), (15, 60, 0.05)])
def test_the_chance_of_errors_by_the_whole_sum(wrong: int, positions: int, rate: float):
    ways = (math.comb(positions, errors) * rate**errors * (1 - rate) ** (positions - errors) for errors in range(wrong))
    assert chance_of(wrong, positions, rate) == pytest.approx(1 - math.fsum(ways))


def test_the_chance_of_errors_at_its_ends():
    assert chance_of(0, 4096, 0.001) == 1.0
    assert chance_of(4, 4096, 0.001) > 0.5
    assert 1e-6 < chance_of(14, 4096, 0.001) < 1e-3
    assert chance_of(30, 4096, 0.001) < 1e-12
    assert chance_of(4096, 4096, 0.001) == pytest.approx(0.0)


@pytest.mark.slow
def test_pairs_of_two_samplers_in_turn():
    subject = task("reverse_if_sorted")
    plain = subject.plain()
    assert plain is not None and plain.sampler == "uniform" and not plain.balanced
    samplers = [subject.pairs("all", seed=1), plain.pairs("all", seed=1)]
    drawn = Both(samplers).draw(7, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    one, other = (sampler.draw(4, generator) for sampler in samplers)
    assert len(drawn) == 7 and drawn.interchangeable is None
    assert torch.equal(drawn.base[::2], one.base) and torch.equal(drawn.base[1::2], other.base[:3])
    assert torch.equal(drawn.source[1::2], other.source[:3])


def test_a_uniform_task_has_no_plainer_one():
    assert task("frac_prevs").plain() is None


def test_what_the_test_split_lacks_is_not_asked_of_the_evidence():
    """Adam, among the names of `ioi`, has no partner in it."""
    subject = ioi_task()
    drawn, held_out = (subject.pairs(split).draw(8000, torch.Generator().manual_seed(0)) for split in ("all", "test"))
    fresh, evidence = ({"base_tokens": pairs.base, "source_tokens": pairs.source} for pairs in (drawn, held_out))
    adam = subject.model.vocab.index("Adam")
    assert bool((drawn.base == adam).any()) and not bool((held_out.base == adam).any())
    assert list(coverage_findings(evidence, fresh, subject, seed=0)) == []
    alan = subject.model.vocab.index("Alan")
    without = ~(held_out.base == alan).any(1)
    (found,) = coverage_findings({name: tensor[without] for name, tensor in evidence.items()}, fresh, subject, seed=0)
    assert found == f"base_tokens: found none of the tokens {alan}, accepted is every one of the inputs"


def test_the_whole_space_has_the_pairs_of_every_split():
    """Enumerated: every input, in pairs that belong to any split."""
    subject = task("frac_prevs")
    pairs = subject.pairs("all").draw(20_000, torch.Generator().manual_seed(0))
    assert len(pairs.base.unique(dim=0)) == subject.input_count
    every = {tuple(row) for row in torch.cat([pairs.base, pairs.source], 1).tolist()}
    for split in ("train", "val", "test"):
        drawn = subject.pairs(split).draw(5_000, torch.Generator().manual_seed(1))
        own = {tuple(row) for row in torch.cat([drawn.base, drawn.source], 1).tolist()}
        assert len(own & every) > 0.05 * len(own), split


def test_coverage_by_hand():
    subject = task("frac_prevs")
    drawn = subject.pairs("all").draw(2000, torch.Generator().manual_seed(0))
    fresh = {"base_tokens": drawn.base, "source_tokens": drawn.source}
    assert list(coverage_findings(fresh, fresh, subject, seed=0)) == []
    short = (drawn.base < 4).sum(1) == 3
    (found,) = coverage_findings({name: tensor[short] for name, tensor in fresh.items()}, fresh, subject, seed=0)
    assert found == "base_tokens: found none of the lengths 4, accepted is every one of the inputs"
    without = ~(drawn.base == 2).any(1)
    (found,) = coverage_findings({name: tensor[without] for name, tensor in fresh.items()}, fresh, subject, seed=0)
    assert found == "base_tokens: found none of the tokens 2, accepted is every one of the inputs"
    repeated = {name: tensor[:50].repeat(40, 1) for name, tensor in fresh.items()}
    assert any("different pairs" in line for line in coverage_findings(repeated, fresh, subject, seed=0))


def test_all_pairs_there_are():
    """Each of all inputs with each, once: neither others instead of some, nor one pair again and again."""
    subject = task("frac_prevs")
    every = subject.enumerate()
    count = len(every)
    base, source = every.repeat_interleave(count, 0), every.repeat(count, 1)

    def said(base: Tensor, source: Tensor) -> list[str]:
        return list(exhaustive_findings({"base_tokens": base, "source_tokens": source}, subject))

    assert said(base, source) == []
    (fewer,) = said(base[:-1], source[:-1])
    assert fewer.startswith(f"exhaustive: found {count**2 - 1} pairs")
    (again,) = said(torch.cat([base, base[:7]]), torch.cat([source, source[:7]]))
    assert again.startswith(f"exhaustive: found {count**2 + 7} pairs, {count**2} of them different")
    other = every[0].clone()
    other[1:] = len(subject.model.vocab) + 1  # of no tokens at all
    (others,) = said(*(torch.where((side == every[0]).all(1, keepdim=True), other, side) for side in (base, source)))
    assert "not among the declared ones" in others


def test_inert_parts_are_left_out_and_nothing_else_is():
    subject = task("first_token_everywhere")
    inert = inert_parts(subject.model, subject.sample_pairs(4096, torch.Generator().manual_seed(0)), torch.Generator())
    assert inert and list(inert_findings(subject, inert, seed=1)) == []
    name = next(iter(inert))
    rest = {part: reason for part, reason in inert.items() if part != name}
    (line,) = inert_findings(subject, rest, seed=1)
    assert line.startswith(f"excluded: {name}: found on the circuit, accepted are parts that change something")
    (line,) = inert_findings(subject, {**inert, "tokens->first_token_everywhere<v>": "never"}, seed=1)
    assert line.startswith("excluded: tokens->first_token_everywhere<v>: found that it changes something")
