"""The transformer's parameters: their names, shapes and first values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from siit.graph.architecture import NORMALIZATIONS, ModelConfig
from siit.transformer import Transformer
from tests.builders import transformers


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_parameters_are_the_architectures(normalization: str | None):
    config = ModelConfig(**transformers.SIZES | {"n_layers": 2, "normalization_type": normalization})
    shapes = {name: tuple(tensor.shape) for name, tensor in Transformer(config).state_dict().items()}
    assert shapes == config.parameter_shapes()


def test_first_values():
    sizes: dict[str, Any] = {
        "n_layers": 3,
        "n_heads": 4,
        "d_model": 64,
        "d_head": 32,
        "d_mlp": 96,
        "n_ctx": 50,
        "d_vocab": 60,
    }
    config = ModelConfig(**sizes, d_vocab_out=40)
    weights = Transformer(config, seed=0, embedding_std=0.5, position_std=0.2).state_dict()
    for name, expected in {
        "embed.W_E": 0.5,
        "pos_embed.W_pos": 0.2,
        "unembed.W_U": 1 / math.sqrt(64),
        "blocks.1.attn.W_Q": 0.25 / math.sqrt(64),
        "blocks.1.attn.W_K": 0.25 / math.sqrt(64),
        "blocks.1.attn.W_V": 1 / math.sqrt(64),
        "blocks.1.mlp.W_in": 1 / math.sqrt(64),
        "blocks.1.attn.W_O": 1 / math.sqrt(4 * 32 * 6),
        "blocks.1.mlp.W_out": 1 / math.sqrt(96 * 6),
    }.items():
        assert float(weights[name].std()) == pytest.approx(expected, rel=0.05), name
        assert abs(float(weights[name].mean())) < 0.1 * expected, name
    for name, tensor in weights.items():
        kind = name.rpartition(".")[2]
        if kind.startswith("b"):
            assert torch.equal(tensor, torch.zeros_like(tensor)), name
        if kind == "w":
            assert torch.equal(tensor, torch.ones_like(tensor)), name


def test_the_seed_decides():
    config = ModelConfig(**transformers.SIZES | {"n_layers": 1})
    one, same, other = (Transformer(config, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["embed.W_E"], other["embed.W_E"])
