"""Statistics of weights: how large they are, how many directions they use, and how many of them are nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from siit.graph.architecture import LOGITS, POS_EMBED, TOK_EMBED, ModelConfig, head, mlp

NEAR_ZERO = 0.01
"""An entry is nearly zero below this share of the root mean square of its matrix."""


@dataclass(frozen=True)
class MatrixStatistics:
    """What is told of one matrix of a node.

    Attributes:
        node: whose matrix it is; that of the unembedding is of `logits`.
        matrix: `W_E`, `W_pos`, `W_Q`, `W_K`, `W_V`, `W_O`, `W_in`, `W_out` or `W_U`.
        frobenius: its Frobenius norm.
        root_mean_square: of its entries: the norm by the root of their number, so that sizes do not matter.
        effective_rank: see `effective_rank`.
        rank_share: that of the largest rank possible, 0 to 1.
        near_zero: share of its entries that are nearly zero, 1 where all are zero.
    """

    node: str
    matrix: str
    frobenius: float
    root_mean_square: float
    effective_rank: float
    rank_share: float
    near_zero: float


def weight_statistics(
    config: ModelConfig, parameters: Mapping[str, Float[Tensor, "..."]]
) -> tuple[MatrixStatistics, ...]:
    """Measures every matrix of a model, each head's apart.

    Args:
        config: the architecture.
        parameters: the weights, by their HookedTransformer names. LayerNorm's gains are not folded in.
    """
    return tuple(_measured(*found) for found in _matrices(config, parameters))


def effective_rank(matrix: Float[Tensor, "rows columns"]) -> float:
    """Computes how many directions a matrix uses: the exponential of its singular values' entropy; 0 of zeros.

    Roy, Vetterli, "The effective rank", EUSIPCO 2007: singular values are made to add up to 1 first.

    Args:
        matrix: any.
    """
    values = torch.linalg.svdvals(matrix.detach().double())
    total = values.sum()
    if not total > 0:
        return 0.0
    return float(torch.special.entr(values / total).sum().exp())


def near_zero_share(values: Float[Tensor, "..."]) -> float:
    """Finds the share of numbers that are below 1 % of their root mean square; 1 of zeros.

    Args:
        values: any.
    """
    limit = NEAR_ZERO * values.square().mean().sqrt()
    return float((values.abs() <= limit).double().mean())


def _measured(node: str, name: str, matrix: Float[Tensor, "rows columns"]) -> MatrixStatistics:
    rank = effective_rank(matrix)
    return MatrixStatistics(
        node=node,
        matrix=name,
        frobenius=float(matrix.norm()),
        root_mean_square=float(matrix.square().mean().sqrt()),
        effective_rank=rank,
        rank_share=rank / min(matrix.shape),
        near_zero=near_zero_share(matrix),
    )


def _matrices(
    config: ModelConfig, parameters: Mapping[str, Float[Tensor, "..."]]
) -> Iterator[tuple[str, str, Float[Tensor, "rows columns"]]]:
    yield TOK_EMBED, "W_E", parameters["embed.W_E"]
    yield POS_EMBED, "W_pos", parameters["pos_embed.W_pos"]
    for layer in range(config.n_layers):
        for index in range(config.n_heads):
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                yield head(layer, index), name, parameters[f"blocks.{layer}.attn.{name}"][index]
        for name in ("W_in", "W_out"):
            yield mlp(layer), name, parameters[f"blocks.{layer}.mlp.{name}"]
    yield LOGITS, "W_U", parameters["unembed.W_U"]
