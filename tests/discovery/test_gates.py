"""What the methods that train gates are made of: the gates' distribution, the loss' unit, whose gates an edge has."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from siit.certificate.fields import Kind
from siit.discovery.methods import EdgePruning, SubnetworkProbing
from siit.discovery.methods._gate_training import GateTraining
from siit.discovery.methods._hard_concrete import START, drawn, open_log_probability
from siit.discovery.task import TaskBatch
from tests.builders.discovery import random_task


def test_a_gate_by_hand():
    """Of temperature 2/3, stretched from (0, 1) to (-0.1, 1.1) and cut."""
    log_alpha = torch.tensor([0.0, 2 / 3 * math.log(3), -9.0, 9.0], dtype=torch.float64)
    uniform = torch.rand(1, 4, generator=torch.Generator().manual_seed(3)).to(log_alpha)
    found = drawn(log_alpha, 1, torch.Generator().manual_seed(3))
    noise = (uniform / (1 - uniform)).log()
    expected = (1.2 / (1 + (-1.5 * (noise + log_alpha)).exp()) - 0.1).clamp(0, 1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("log_alpha", [-2.0, 0.0, START, 3.0])
def test_gates_are_open_as_often_as_is_said(log_alpha: float):
    gates = drawn(torch.full((40,), log_alpha), 2000, torch.Generator().manual_seed(0))
    said = float(open_log_probability(torch.tensor(log_alpha)).exp())
    assert float((gates > 0).double().mean()) == pytest.approx(said, abs=0.006)
    assert float(gates.min()) >= 0 and float(gates.max()) <= 1


def test_gates_start_at_nine_tenths():
    """Without noise, as the paper has a trained gate."""
    stretched = 1.2 * torch.tensor(START).sigmoid() - 0.1
    assert float(stretched) == pytest.approx(0.9)


@pytest.mark.parametrize("by", ["resample", "mean", "zero"])
def test_the_loss_is_one_where_everything_is_replaced(by: Kind):
    task = random_task("causal", "LN", 3)
    training = GateTraining(task, by, batch_size=4, seed=0)
    batch = task.batch(torch.arange(len(task)))
    masks = batch.masks(task.edges)
    assert float(training.loss(batch, edges=torch.ones_like(masks)).mean()) == pytest.approx(1)
    assert float(training.loss(batch, edges=torch.zeros_like(masks)).mean()) == pytest.approx(0, abs=1e-9)
    doubled = random_task("causal", "LN", 3)
    with torch.no_grad():
        doubled.model.unembed.W_U.mul_(2)
        doubled.model.unembed.b_U.mul_(2)
    again = GateTraining(doubled, by, batch_size=4, seed=0)
    batch = doubled.batch(torch.arange(len(doubled)))
    assert float(again.loss(batch, edges=torch.ones_like(masks)).mean()) == pytest.approx(1), "whatever its unit"


def edge_masks(monkeypatch: pytest.MonkeyPatch, method: EdgePruning | SubnetworkProbing) -> tuple[Tensor, Tensor]:
    """Which share of each edge was replaced, [examples, edges], in a training that learns nothing; and the scores."""
    seen: list[Tensor] = []
    whole = GateTraining.loss

    def loss(training: GateTraining, batch: TaskBatch, **masks: Any) -> Tensor:
        seen.append(masks["edges"].detach())
        return whole(training, batch, **masks)

    monkeypatch.setattr(GateTraining, "loss", loss)
    scores = method(random_task("causal", None, 3))
    return torch.cat(seen), torch.tensor(list(scores.values()), dtype=torch.float64)


def test_an_edge_has_its_own_gate_and_its_senders(monkeypatch: pytest.MonkeyPatch):
    still: dict[str, Any] = {"steps": 20, "batch_size": 64, "learning_rate": 1e-12}
    task = random_task("causal", None, 3)
    open_ = float(open_log_probability(torch.tensor(START)).exp())
    alone, scores = edge_masks(monkeypatch, SubnetworkProbing(**still))
    assert float((alone < 1).double().mean()) == pytest.approx(open_, abs=0.01)
    torch.testing.assert_close(scores, torch.full_like(scores, math.log(open_)))
    both, scores = edge_masks(monkeypatch, EdgePruning(**still))
    assert float((both < 1).double().mean()) == pytest.approx(open_**2, abs=0.02)
    torch.testing.assert_close(scores, torch.full_like(scores, 2 * math.log(open_)))
    # Where a sender's gate is closed all of its edges are replaced: by gates of their own alone that hardly happens.
    many = [own for node in range(len(task.nodes)) if len(own := (task.edge_senders == node).nonzero().flatten()) > 4]
    assert many
    for own in many:
        assert float((both[:, own] == 1).all(1).double().mean()) > (1 - open_) / 2
        assert float((alone[:, own] == 1).all(1).double().mean()) < (1 - open_) / 2
