"""Statistics of weights, activations and variables, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from siit.realism.activations import (
    activation_statistics,
    cosines,
    covariance_overlap,
    mean_of_pairs,
    overlaps,
    participation,
)
from siit.realism.superposition import between_scatter, variable_overlaps
from siit.realism.weights import effective_rank, near_zero_share, weight_statistics
from siit.transformer import Transformer
from tests.builders.bundles import CONFIG

CORNERS = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
"""Four places at which two directions vary independently."""


def outputs() -> Tensor:
    """Four nodes: one varies in the first direction, one in the second, one in both, one writes a constant."""
    first, second = CORNERS * torch.tensor([2.0, 0.0]), CORNERS * torch.tensor([0.0, 1.0])
    return torch.stack([first, second + 5.0, first + 2 * second, torch.full_like(first, 3.0)])


@pytest.mark.parametrize(
    ("matrix", "rank"),
    [
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 2.0),
        ([[3.0, 0.0], [0.0, 1.0]], math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))),
        ([[1.0, 1.0], [1.0, 1.0]], 1.0),
        ([[0.0, 0.0]], 0.0),
    ],
)
def test_effective_rank(matrix: list[list[float]], rank: float):
    assert effective_rank(torch.tensor(matrix)) == pytest.approx(rank)


def test_near_zero():
    """The root mean square is 0.5, so that what is at most 0.005 is nearly zero."""
    assert near_zero_share(torch.tensor([0.0, 0.004, -0.006, 1.0])) == 0.5
    assert near_zero_share(torch.zeros(3)) == 1.0


def test_weights():
    model = Transformer(CONFIG, seed=0)
    found = {(one.node, one.matrix): one for one in weight_statistics(CONFIG, model.state_dict())}
    assert len(found) == 3 + CONFIG.n_layers * (4 * CONFIG.n_heads + 2)
    value = model.state_dict()["blocks.0.attn.W_V"][1]
    one = found["a0.h1", "W_V"]
    assert one.frobenius == pytest.approx(float(value.norm()))
    assert one.root_mean_square == pytest.approx(one.frobenius / math.sqrt(value.numel()))
    assert one.rank_share == pytest.approx(effective_rank(value) / min(value.shape))


def test_activations():
    first, second, _, constant = activation_statistics(["a", "b", "c", "d"], outputs())
    assert (first.norm, first.variance, first.near_zero) == pytest.approx((2.0, 4.0, 0.5))
    # (5 +- 1)^2 = 36 or 16, and 25 in the other direction.
    assert (second.norm, second.variance) == pytest.approx((math.sqrt(51), 1.0))
    assert (constant.norm, constant.variance) == pytest.approx((math.sqrt(18), 0.0))


def test_cosines():
    """The third node is (+-2, +-2) where the first is (+-2, 0)."""
    half = 1 / math.sqrt(2)
    found = cosines(outputs())
    torch.testing.assert_close(
        found[:3, :3], torch.tensor([[1.0, 0.0, half], [0.0, 1.0, half], [half, half, 1.0]]), atol=1e-6, rtol=0
    )
    assert bool(found[3].isnan().all())
    assert mean_of_pairs(found) == pytest.approx(2 * half / 3)
    assert mean_of_pairs(found[2:, 2:]) is None


def test_overlaps():
    """Covariances are diag(4, 0), diag(0, 1) and diag(4, 4)."""
    half = 1 / math.sqrt(2)
    found = overlaps(outputs())
    assert [float(found[0, 1]), float(found[0, 2]), float(found[1, 2])] == pytest.approx([0, half, half])
    assert bool(found[3].isnan().all())


def test_an_overlap_has_no_scale():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator)
    covariance = root @ root.T
    found = covariance_overlap(torch.stack([covariance, 7 * covariance, torch.eye(5)]))
    assert float(found[0, 1]) == pytest.approx(1.0) and 0 < float(found[0, 2]) < 1


@pytest.mark.parametrize(("values", "parts"), [([1.0, 1.0, 0.0], 2.0), ([3.0, 1.0], 1.6), ([0.0, 0.0], 0.0)])
def test_participation(values: list[float], parts: float):
    assert participation(torch.tensor(values)) == pytest.approx(parts)


def test_variables():
    """One variable moves the first direction, one the second, one both, and one is what the first is not."""
    stream = CORNERS * torch.tensor([2.0, 1.0]) + 3.0
    values = {
        "first": torch.tensor([0, 0, 1, 1]),
        "second": torch.tensor([0.1, 0.2, 0.1, 0.2]),
        "both": torch.tensor([0, 1, 2, 3]),
        "same": torch.tensor([1, 1, 0, 0]),
        "constant": torch.tensor([4, 4, 4, 4]),
    }
    found = variable_overlaps(stream, values)
    # The scatters are diag(4, 0), diag(0, 1) and diag(4, 1).
    expected = {"first & second": 0, "first & both": 4 / math.sqrt(17), "first & same": 1}
    expected |= {"second & both": 1 / math.sqrt(17), "second & same": 0, "both & same": 4 / math.sqrt(17)}
    assert found == pytest.approx(expected, abs=1e-6)
    assert variable_overlaps(stream, {"constant": values["constant"]}) == {}


@pytest.mark.parametrize("values", [torch.tensor([0, 1, -1, -1]), torch.tensor([0.5, 1.5, torch.nan, torch.nan])])
def test_undefined_values_are_left_out(values: Tensor):
    """Of two places, at (1, 1) and (1, -1), each is a mean of its own."""
    torch.testing.assert_close(between_scatter(CORNERS, values), torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    assert not between_scatter(CORNERS, torch.full_like(values, -1 if values.dtype == torch.int64 else torch.nan)).any()
