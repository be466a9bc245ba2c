"""Muon for matrices, head by head, and AdamW for everything else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from siit.training.configuration.settings import TrainerSettings

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
RMS = 0.2
"""Root mean square of an update's entries times the learning rate, about as AdamW's, so that both share one rate."""


def orthogonalized(matrices: Float[Tensor, "batch rows columns"]) -> Float[Tensor, "batch rows columns"]:
    """Brings each matrix's singular values near 1 (0.7 to 1.2), by five quintic Newton-Schulz iterations.

    Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), whose coefficients these
    are.

    Args:
        matrices: any; wide ones (no more rows than columns) cost least.
    """
    a, b, c = COEFFICIENTS
    x = matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class MuonAdamW(torch.optim.AdamW):
    """Muon for stacks of matrices, AdamW for all other parameters.

    `torch.optim.Muon` takes single matrices only. Here each head's matrix of `[head, d_model, d_head]` is
    orthogonalized by itself, all those of one shape in the model at once, in the parameters' own precision. Updates are
    scaled such that AdamW's learning rates serve for both (Liu et al., "Muon is Scalable for LLM Training", arXiv
    2502.16982, section 2.2).

    Args:
        matrices: parameters `[..., rows, columns]`.
        others: parameters of any shape.
        learning_rate: of both.
        weight_decay: decoupled, of the matrices alone.
        momentum: of Muon (Nesterov's), a running mean of gradients.
        betas: of AdamW.
    """

    def __init__(
        self,
        matrices: Sequence[nn.Parameter],
        others: Sequence[nn.Parameter],
        *,
        learning_rate: float,
        weight_decay: float,
        momentum: float,
        betas: tuple[float, float],
    ) -> None:
        groups = [
            {"params": list(matrices), "weight_decay": weight_decay, "momentum": momentum},
            {"params": list(others), "weight_decay": 0.0, "momentum": None},
        ]
        super().__init__(groups, lr=learning_rate, betas=betas)

    @classmethod
    def for_model(cls, model: nn.Module, further: Iterable[nn.Parameter], settings: TrainerSettings) -> MuonAdamW:
        """Sorts a transformer's parameters: its matrices to Muon, but for embeddings, and all else to AdamW.

        Args:
            model: whose matrices are called `W_...`.
            further: parameters beside the model's, for AdamW.
            settings: learning rate, decay and momenta.
        """
        matrices: list[nn.Parameter] = []
        others = list(further)
        for name, parameter in model.named_parameters():
            own_name = name.rpartition(".")[2]
            is_matrix = own_name.startswith("W_") and own_name not in ("W_E", "W_pos")
            (matrices if is_matrix else others).append(parameter)
        return cls(
            matrices,
            others,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            betas=(settings.beta1, settings.beta2),
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates all parameters that have a gradient; those of matrices are used up."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["momentum"] is not None:
                self._update_matrices(group)
        super().step()
        return loss

    def _update_matrices(self, group: dict[str, Any]) -> None:
        alike: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for parameter in group["params"]:
            if parameter.grad is not None:
                alike.setdefault(tuple(sorted(parameter.shape[-2:])), []).append(parameter)
        for (_, columns), parameters in alike.items():
            directions = [_wide(self._direction(each, group["momentum"])) for each in parameters]
            updates = orthogonalized(torch.cat(directions)).split([len(each) for each in directions])
            for parameter, update in zip(parameters, updates, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                update = update if parameter.shape[-2] <= parameter.shape[-1] else update.mT
                parameter.add_(update.reshape(parameter.shape), alpha=-group["lr"] * RMS * columns**0.5)

    def _direction(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Gives Nesterov's direction, and uses up the gradient."""
        gradient, parameter.grad = parameter.grad, None
        assert gradient is not None
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["average"] = torch.zeros_like(parameter)
        state["step"] += 1
        average = state["average"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)


def _wide(matrices: Float[Tensor, "*batch rows columns"]) -> Float[Tensor, "all short long"]:
    """Lays matrices in one batch, each turned such that it has no more rows than columns."""
    batch = matrices.reshape(-1, *matrices.shape[-2:])
    return batch if batch.shape[-2] <= batch.shape[-1] else batch.mT
