"""Muon against PyTorch's own, AdamW against PyTorch's own, and heads by themselves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from siit.training.fit.optimizer import MuonAdamW, orthogonalized


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def optimizer(matrices: Sequence[nn.Parameter], others: Sequence[nn.Parameter] = (), **changes: float) -> MuonAdamW:
    settings = {"learning_rate": 0.1, "weight_decay": 0.01, "momentum": 0.9, **changes}
    return MuonAdamW(matrices, others, betas=(0.9, 0.99), **settings)


def steps(chosen: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> None:
    for gradient in gradients:
        for parameter in parameters:
            parameter.grad = gradient.clone()
        chosen.step()


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (5, 5)])
def test_one_matrix_goes_where_pytorchs_muon_takes_it(shape: tuple[int, int]) -> None:
    start, gradients = torch.randn(shape), [torch.randn(shape) for _ in range(4)]
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    steps(optimizer([ours]), [ours], gradients)
    muon = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.01, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    steps(muon, [theirs], gradients)
    # It orthogonalizes in bfloat16.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.02)
    assert float((ours.detach() - start).norm()) > 0.15


def test_each_head_is_orthogonalized_by_itself() -> None:
    heads = torch.randn(3, 8, 4) * torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    together = orthogonalized(heads)
    for head, alone in zip(heads, together, strict=True):
        torch.testing.assert_close(orthogonalized(head[None])[0], alone)
    values = torch.linalg.svdvals(together)
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3


def test_matrices_of_one_shape_go_together_where_they_go_alone() -> None:
    together = [nn.Parameter(torch.randn(shape)) for shape in [(2, 8, 4), (2, 4, 8), (8, 4), (4, 6), (6, 4)]]
    gradients = [torch.randn_like(parameter) for parameter in together]
    alone = [nn.Parameter(parameter.clone()) for parameter in together]
    for parameter, gradient in zip(together, gradients, strict=True):
        parameter.grad = gradient.clone()
    optimizer(together).step()
    for parameter, gradient in zip(alone, gradients, strict=True):
        steps(optimizer([parameter]), [parameter], [gradient])
    torch.testing.assert_close(together, alone)


def test_everything_else_goes_where_adamw_takes_it_without_decay() -> None:
    start, gradients = torch.randn(7), [torch.randn(7) for _ in range(4)]
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    steps(optimizer([nn.Parameter(torch.zeros(2, 2))], [ours]), [ours], gradients)
    steps(torch.optim.AdamW([theirs], lr=0.1, betas=(0.9, 0.99), weight_decay=0.0), [theirs], gradients)
    torch.testing.assert_close(ours, theirs)


def test_what_has_no_gradient_stays() -> None:
    matrix, bias = nn.Parameter(torch.randn(2, 3)), nn.Parameter(torch.randn(3))
    before = matrix.clone(), bias.clone()
    optimizer([matrix], [bias]).step()
    torch.testing.assert_close((matrix.data, bias.data), before)


def test_its_state_can_be_saved_and_goes_on() -> None:
    start, gradients = torch.randn(2, 4, 3), [torch.randn(2, 4, 3) for _ in range(4)]
    whole, parted = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    steps(optimizer([whole]), [whole], gradients)
    first, second = optimizer([parted]), optimizer([parted])
    steps(first, [parted], gradients[:2])
    second.load_state_dict(first.state_dict())
    steps(second, [parted], gradients[2:])
    assert torch.equal(whole, parted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_is_the_same_on_a_gpu() -> None:
    start, gradients = torch.randn(3, 8, 4), [torch.randn(3, 8, 4) for _ in range(4)]
    here, there = nn.Parameter(start.clone()), nn.Parameter(start.cuda())
    steps(optimizer([here]), [here], gradients)
    steps(optimizer([there]), [there], [gradient.cuda() for gradient in gradients])
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-4)
