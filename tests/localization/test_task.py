"""Tasks: what is changed is a node's output at the interchanged positions; pairs and answers are the causal model's."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from siit.certificate import ReferenceModel
from siit.localization import UnseenUnitError, VariableTask, variable_task
from siit.localization import draw as drawing
from siit.localization.methods import NodeInterchange
from tests.builders.discovery import certified
from tests.builders.transformers import ARCHITECTURES
from tests.builders.variables import certified_variable, random_variable_task, rotated_task


def test_a_patch_by_hand():
    """All of m0 is too much: the logits read it at this position. The head is interchanged at another position."""
    task = rotated_task()
    pairs = task.held_out
    interchanged, base, source = pairs.interchanged, pairs.base == 1, pairs.source == 1
    mixed = torch.where(interchanged, source, base)
    of_m0 = 2 * mixed.roll(1, 1).long() + mixed.long()
    read = torch.where(interchanged, source.roll(1, 1), base.roll(1, 1))
    of_head = 2 * read.long() + base.long()
    (batch,) = task.batches(pairs, len(pairs))
    found = dict(zip(task.nodes, task.answers.of(batch.changed(batch.differences)), strict=True))
    assert torch.equal(found["m0"], of_m0[pairs.scored]) and torch.equal(found["a1.h0"], of_head[pairs.scored])
    assert torch.equal(found["a0.h1"], pairs.untouched[pairs.scored])
    scores = NodeInterchange()(task)
    for node, expected in (("m0", of_m0), ("tok_embed", of_m0), ("a1.h0", of_head), ("m1", pairs.untouched)):
        share = (expected == pairs.target)[pairs.scored].double().mean().item()
        assert scores[node] == pytest.approx(share) and share < 1


@pytest.mark.parametrize(("direction", "norm", "d_vocab_out"), ARCHITECTURES)
def test_changes_are_those_of_the_reference(direction: str, norm: str | None, d_vocab_out: int):
    task = random_variable_task(direction, norm, d_vocab_out)
    pairs = task.train
    (batch,) = task.batches(pairs)
    found = batch.changed(batch.differences)
    reference = ReferenceModel(task.config, task.model.state_dict())
    base, source = reference.run(pairs.base), reference.run(pairs.source, pairs.source_positions)
    for node, logits in zip(task.nodes, found, strict=True):
        mixed = torch.where(pairs.interchanged[..., None], source.outputs[node], base.outputs[node])
        expected = reference.patched(base, {node: mixed}).logits
        assert torch.allclose(logits, expected[pairs.scored], atol=1e-9)
    assert task.passes.forward == (2 + len(task.nodes)) * len(pairs)


def test_pairs_of_a_model():
    task = certified_variable("is_x")
    seen = set()
    for pairs in (task.train, task.held_out):
        assert len(pairs) == 64 and bool(pairs.scored.any(1).all())
        seen |= {tuple(row) for row in torch.cat([pairs.base, pairs.source], 1).tolist()}
        # Answers by hand: the share of x so far, in the base with some positions interchanged.
        x = certified().vocab.tokens.index("x")
        mixed = torch.where(pairs.interchanged, pairs.source, pairs.base) == x
        share = mixed.cumsum(1) / torch.arange(5).clamp(min=1)
        assert torch.allclose(pairs.target[pairs.scored], share[pairs.scored])
        assert torch.equal(pairs.values["is_x"][pairs.tokens], (pairs.base == x).float()[pairs.tokens])
    assert len(seen) == 128
    moved = (~task.answers.same(task.train.target, task.train.untouched)).any(1).double().mean()
    assert 0.3 < moved < 0.7
    assert bool(certified_variable("is_x", positions="all").train.interchanged.all())


def test_a_draw_repeats_and_a_seed_changes_it():
    one, same, other = (variable_task(certified(), "is_x", 8, seed=seed).train for seed in (0, 0, 1))
    assert torch.equal(one.base, same.base) and not torch.equal(one.base, other.base)


def test_small_spaces_have_fewer_pairs():
    assert len(variable_task(certified(), "is_x", 1).held_out) == 1


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="unit: found 'is_y', accepted: is_x, frac_prevs"):
        variable_task(certified(), "is_y")
    with pytest.raises(ValueError, match="n_pairs: found 0"):
        variable_task(certified(), "is_x", 0)
    task = rotated_task()
    with pytest.raises(ValueError, match="train: found no pairs"):
        dataclasses.replace(task, train=task.train.some(torch.arange(0)))
    monkeypatch.setattr(drawing, "differs", lambda one, other, tolerance: torch.zeros_like(one, dtype=torch.bool))
    with pytest.raises(UnseenUnitError, match="no interchange of is_x changes an answer"):
        variable_task(certified(), "is_x", 4)


def test_a_task_has_no_labels():
    fields = {field.name for field in dataclasses.fields(VariableTask)}
    assert fields == {"model", "answers", "classes", "train", "held_out", "passes"}
