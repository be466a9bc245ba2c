"""Initial embeddings that are turned away from each other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from siit.graph.architecture import ModelConfig
from siit.transformer import Transformer
from siit.transformer.spread import spread
from tests.builders import transformers


def drawn(tokens: int, width: int) -> Tensor:
    return torch.randn(tokens, width, generator=torch.Generator().manual_seed(0))


def coherence(rows: Tensor) -> float:
    directions = rows / rows.norm(dim=1, keepdim=True)
    return float((directions @ directions.T).fill_diagonal_(0).abs().max())


@pytest.mark.parametrize(("tokens", "width"), [(423, 64), (104, 64), (64, 64), (40, 16), (12, 32)])
def test_the_most_similar_rows_are_no_longer_alike(tokens: int, width: int):
    before = drawn(tokens, width)
    after = spread(before)
    welch = math.sqrt(max(0, tokens - width) / (width * (tokens - 1)))
    assert welch <= coherence(after) < 0.7 * coherence(before)


def test_in_the_plane_the_worst_case_is_reached():
    rows = torch.tensor([[2.0, 0.1], [3.0, 0.0], [1.0, 0.2]])
    assert coherence(rows) > 0.97
    assert coherence(spread(rows)) == pytest.approx(0.5, abs=0.03), "lines 60 degrees apart"


def test_norms_stay():
    before = drawn(50, 16) * torch.arange(1, 51).unsqueeze(1)
    assert torch.allclose(spread(before).norm(dim=1), before.norm(dim=1))


def test_one_row_and_rows_at_right_angles_stay():
    assert torch.equal(spread(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 4.0]]))
    assert torch.allclose(spread(torch.eye(5)), torch.eye(5))


def test_a_model_begins_so_where_it_is_asked_for():
    config = ModelConfig(**transformers.SIZES | {"n_layers": 1, "d_vocab": 40, "d_model": 16})
    plain, turned = (Transformer(config, 0, spread_embeddings=wanted).state_dict() for wanted in (False, True))
    assert torch.equal(turned["embed.W_E"], spread(plain["embed.W_E"]))
    assert all(torch.equal(plain[name], turned[name]) for name in plain if name != "embed.W_E")
