"""Trains linear maps that read each variable off its nodes' outputs: a loss beside the task's.

They tell every node what to hold before the nodes that read it have learned to. They are no part of the model, and no
measurement uses them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from siit.causal import CausalModel, Run
from siit.causal.mechanisms import UNDEFINED, Values, undefined
from siit.interchange.alignment import Labels
from siit.training.objective.losses import cross_entropies


class AuxiliaryProbes(nn.Module):
    """Holds a linear map for each hidden variable of the circuit; the answer needs none, the logits show it.

    Of a number it reads what a head would write (`siit.causal.Mechanism.written`). That a lookup finds nothing is a
    class of its own; other undefined values are not scored.

    Args:
        model: the causal model.
        labels: tells which nodes carry which variable.
        d_model: width of the nodes' outputs.
        seed: of the initial maps.
    """

    def __init__(self, model: CausalModel, labels: Labels, d_model: int, seed: int) -> None:
        super().__init__()
        self.nodes: dict[str, tuple[str, ...]] = {
            name: labels.circuit.alignment[unit]
            for unit, members in labels.units.items()
            for name in members
            if name != model.answer.name
        }
        self.mechanisms = {name: model.variables[name].mechanism for name in self.nodes}
        self.finds_nothing: dict[str, int] = {}
        """Lookup -> the class that stands for nothing found."""
        maps = []
        generator = torch.Generator().manual_seed(seed)
        for name in self.nodes:
            variable = model.variables[name]
            size = 1 if variable.values is None else len(variable.values)
            if variable.mechanism.can_find_nothing:
                self.finds_nothing[name], size = size, size + 1
            linear = nn.Linear(d_model, size)
            nn.init.normal_(linear.weight, std=d_model**-0.5, generator=generator)
            nn.init.zeros_(linear.bias)
            maps.append(linear)
        self.maps = nn.ModuleList(maps)

    def loss(
        self,
        senders: Mapping[str, Float[Tensor, "batch pos d_model"]],
        run: Run,
        is_token: Bool[Tensor, "batch pos"],
    ) -> Float[Tensor, ""]:
        """Averages over the variables the cross-entropy (squared error where numerical) at the input's tokens.

        Args:
            senders: node -> its output.
            run: the causal model's values under the same interchange.
            is_token: False at BOS and padding, which are not scored.
        """
        losses: list[Tensor] = []
        for (name, nodes), linear in zip(self.nodes.items(), self.maps, strict=True):
            read = linear(torch.stack([senders[node] for node in nodes]).sum(0))
            losses.append(self._loss(name, read, run.values[name], is_token))
        return torch.stack(losses).mean() if losses else torch.zeros((), device=is_token.device)

    def _loss(self, name: str, read: Tensor, values: Values, counted: Tensor) -> Tensor:
        if name in self.finds_nothing:
            values = torch.where(values == UNDEFINED, self.finds_nothing[name], values)
        counted = counted & ~undefined(values)
        if values.is_floating_point():
            written = self.mechanisms[name].written(values)
            each = (read[..., 0] - written.nan_to_num(0.0)).square()
        else:
            each = cross_entropies(read, torch.where(counted, values, 0))
        return torch.where(counted, each, 0.0).sum() / counted.sum().clamp(min=1)
