"""Teaches the heads of attention variables a pattern that computes them: a loss beside the task's.

Supervised attention (Mi et al., arXiv 1608.00112). Where to attend is what a program's heads are slowest to learn. The
causal model knows it, under every interchange. No label and no measurement rests on patterns.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from siit.causal import CausalModel, Run
from siit.graph.architecture import is_head
from siit.interchange.alignment import Labels


class SupervisedAttention:
    """Compares the patterns of a circuit's heads with those that the causal model asks for.

    Args:
        model: the causal model.
        labels: tells which heads carry which variable.
    """

    def __init__(self, model: CausalModel, labels: Labels) -> None:
        heads = {unit: [node for node in nodes if is_head(node)] for unit, nodes in labels.circuit.alignment.items()}
        self.heads: dict[str, list[str]] = {
            name: heads[unit]
            for unit, members in labels.units.items()
            for name in members
            if model.variables[name].is_attention
        }
        """Attention variable -> its heads."""

    def loss(
        self,
        patterns: Mapping[str, Float[Tensor, "batch query key"]],
        run: Run,
        is_token: Bool[Tensor, "batch pos"],
    ) -> Float[Tensor, ""]:
        """Averages over variables, their heads and the input's tokens the cross-entropy, less the least possible one.

        Args:
            patterns: head -> its attention.
            run: the causal model under the same interchange, with attention.
            is_token: False at BOS and padding, whose own attention is left alone.
        """
        losses = []
        for name, target in run.attention.items():
            counted = (target.sum(-1) > 0) & is_token
            found = torch.stack([patterns[head] for head in self.heads[name]])
            each = (torch.special.xlogy(target, target) - target * found.clamp(min=1e-6).log()).sum(-1)
            losses.append(torch.where(counted, each, 0.0).sum() / (len(found) * counted.sum().clamp(min=1)))
        return torch.stack(losses).mean() if losses else torch.zeros((), device=is_token.device)
