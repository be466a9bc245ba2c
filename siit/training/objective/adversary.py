"""Attacks: examples come again with the off-circuit parts replaced that their own gradient names.

Masks enter a patched run linearly. So the backward pass of a step tells for each example what replacing any part would
do to its loss. The next step takes some of its examples again, with the parts replaced that would raise it. That is one
ascent a step, at the price of the masks' gradients alone.

An attacked example that is answered wrong is shown again until it is right. One that stays right is ascended again, a
few times, and then makes room.

What the certificate's adversary asks comes first: nothing is attacked by shifted ablation, but by zeros instead, under
which models fail most often. Every other example has no interchange.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from siit.interchange import Pairs
from siit.interchange.interventions import NONE
from siit.training.objective.draws import SHIFTED, ZERO, Replacement
from siit.training.objective.interventions import Drawn

ASCENTS = 3
"""Of an example that is answered right under every subset that they find."""
SHOWINGS = 8
"""Steps that an example stays at most: some pairs may be impossible."""


class Adversary(nn.Module):
    """Keeps the examples that the next step attacks; part of a run's checkpoint.

    They take the last places of a batch; new ones come from its first places.

    Args:
        size: how many there are, at most half a batch.
        positions: of an input.
        n_constant: high-level edges that are constant.
        n_nodes: off-circuit nodes.
        n_edges: off-circuit edges.
    """

    ready: Tensor
    ascents: Tensor
    showings: Tensor

    def __init__(self, size: int, positions: int, n_constant: int, n_nodes: int, n_edges: int) -> None:
        super().__init__()
        self.size = size
        whole = {"base": positions, "source": positions, "source_positions": positions, "off_positions": positions}
        for name, width in whole.items():
            self.register_buffer(name, torch.zeros(size, width, dtype=torch.int64))
        for name in ("choice", "ablation", "ascents", "showings"):
            self.register_buffer(name, torch.zeros(size, dtype=torch.int64))
        for name, rows in {"constant": n_constant, "nodes": n_nodes, "edges": n_edges}.items():
            self.register_buffer(name, torch.zeros(rows, size, dtype=torch.bool))
        self.register_buffer("interchangeable", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    def attacked(self, batch: int) -> Bool[Tensor, " batch"]:
        """Tells which places of a batch the attacked examples take; none before the first ascent.

        Args:
            batch: how many places there are.
        """
        return self.ready & (torch.arange(batch, device=self.ready.device) >= batch - self.size)

    def replace_last(self, pairs: Pairs, drawn: Drawn) -> tuple[Pairs, Drawn]:
        """Puts the attacked examples into the last places of a batch; none before the first ascent.

        Args:
            pairs: of the batch.
            drawn: their interventions.

        Returns:
            Both with the attacked examples, and masks that take gradients.
        """

        def last(name: str, own: Shaped[Tensor, "..."], dim: int = 0) -> Tensor:
            kept = getattr(self, name).to(own.dtype)
            start = own.shape[dim] - self.size
            tail = torch.where(self.ready, kept, own.narrow(dim, start, self.size))
            return torch.cat([own.narrow(dim, 0, start), tail], dim)

        true = torch.ones(len(pairs), dtype=torch.bool, device=pairs.base.device)
        fresh = true if pairs.fresh is None else pairs.fresh
        attacked = self.attacked(len(pairs))
        replacement = drawn.replacement
        with_attacked = Pairs(
            last("base", pairs.base),
            last("source", pairs.source),
            last("interchangeable", true if pairs.interchangeable is None else pairs.interchangeable),
            fresh & ~attacked,
        )
        return with_attacked, Drawn(
            choice=last("choice", drawn.choice),
            constant=last("constant", drawn.constant, 1),
            source_positions=last("source_positions", drawn.source_positions),
            off_positions=last("off_positions", drawn.off_positions),
            shifted=drawn.shifted,
            replacement=Replacement(
                nodes=last("nodes", replacement.nodes, 1).float().requires_grad_(),
                edges=last("edges", replacement.edges, 1).float().requires_grad_(),
                ablation=last("ablation", replacement.ablation),
                single=torch.where(attacked, -1, replacement.single),
            ),
            all_off=drawn.all_off,
        )

    @torch.no_grad()
    def ascend(self, pairs: Pairs, drawn: Drawn, wrong: Bool[Tensor, " batch"], generator: torch.Generator) -> None:
        """Chooses what the next step attacks, by the masks' gradients; never waits for the device.

        Args:
            pairs: of this step, as `replace_last` gave them.
            drawn: their interventions; the gradients of their masks are there.
            wrong: which examples have a wrong answer.
            generator: draws how far each ascent goes.
        """
        kept = torch.arange(len(pairs) - self.size, len(pairs), device=wrong.device)
        again = self.ready & wrong[kept] & (self.showings < SHOWINGS)
        further = self.ready & ~wrong[kept] & (self.ascents < ASCENTS)
        stays = again | further
        row = torch.where(stays, kept, kept - kept[0])
        masks = torch.cat([drawn.replacement.nodes, drawn.replacement.edges])[:, row]
        gradient = torch.cat([_gradient(drawn.replacement.nodes), _gradient(drawn.replacement.edges)])[:, row]
        masks = torch.where(again, masks > 0.5, ascended(masks > 0.5, gradient, generator))
        self.ascents = torch.where(further, self.ascents + 1, torch.where(again, self.ascents, 1))
        self.showings = torch.where(stays, self.showings + 1, 1)
        n_nodes = len(drawn.replacement.nodes)
        self.nodes, self.edges = masks[:n_nodes], masks[n_nodes:]
        self.base, self.source = pairs.base[row], pairs.source[row]
        assert pairs.interchangeable is not None  # `replace_last` sets it
        self.interchangeable = pairs.interchangeable[row]
        self.source_positions, self.off_positions = drawn.source_positions[row], drawn.off_positions[row]
        interchanged = torch.arange(self.size, device=row.device) % 2 == 1
        self.choice = torch.where(interchanged, drawn.choice[row], NONE)
        self.constant = drawn.constant[:, row] & interchanged
        ablation = drawn.replacement.ablation[row]
        self.ablation = torch.where(ablation == SHIFTED, ZERO, ablation)
        self.ready = torch.ones_like(self.ready)


def ascended(
    masks: Bool[Tensor, "part example"], gradient: Float[Tensor, "part example"], generator: torch.Generator
) -> Bool[Tensor, "part example"]:
    """Replaces the parts whose replacement would raise the loss, and no longer those that lower it.

    Each example changes another share of its parts, those with the largest gradients: far steps leave the range in
    which a gradient tells the truth.

    Args:
        masks: what is replaced.
        gradient: of each example's loss, with respect to its masks.
        generator: draws the shares, evenly from 0 to 1.
    """
    if not len(masks):
        return masks
    size = gradient.abs()
    share = torch.rand(masks.shape[1], device=generator.device, generator=generator)
    place = (share * len(masks)).long().unsqueeze(0)
    least = size.sort(0, descending=True).values.gather(0, place)
    return torch.where(size >= least, gradient > 0, masks)


def _gradient(mask: Tensor) -> Tensor:
    return torch.zeros_like(mask) if mask.grad is None else mask.grad
