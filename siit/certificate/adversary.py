"""The adversary: for each example it looks for edges off the circuit whose replacement together makes answers wrong.

Masks enter a run as a product. So one backward pass tells, to first order, what replacing every edge would do to the
loss of every example, or no longer replacing it. An ascent flips those of an example's edges of which it promises most.
All edges of a node replaced is the node replaced, so masks of nodes add nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from siit.certificate.answers import Answers
from siit.certificate.situation import Situation

ASCENTS = 3
"""Ascents from each start."""


@dataclass(frozen=True, eq=False)
class Attack:
    """The worst subset of edges that was found for each example.

    Attributes:
        edges: which are replaced, in the executor's order.
        wrong: scored positions at which the answer is then wrong.
    """

    edges: Bool[Tensor, "batch edges"]
    wrong: Float[Tensor, " batch"]


@torch.enable_grad()
def attack(
    situation: Situation, edges: Bool[Tensor, " edges"], generator: torch.Generator, ascents: int = ASCENTS
) -> Attack:
    """Searches from three starts: no edge, all edges, and random ones, at a rate drawn for each example.

    Args:
        situation: a batch of pairs.
        edges: which may be replaced.
        generator: of the random starts, on the CPU.
        ascents: from each start.
    """
    batch = len(situation.target)
    rate = torch.rand(batch, 1, generator=generator)
    random = (torch.rand(batch, len(edges), generator=generator) < rate).to(edges.device)
    worst = Attack(torch.zeros_like(random), situation.outputs.new_full((batch,), -1.0))
    for start in (torch.zeros_like(random), torch.ones_like(random), random):
        replaced = start & edges
        for ascent in range(ascents + 1):
            gain, wrong = _try(situation, replaced, gradient=ascent < ascents)
            worse = wrong > worst.wrong
            worst = Attack(torch.where(worse[:, None], replaced, worst.edges), torch.where(worse, wrong, worst.wrong))
            if gain is not None:
                replaced = replaced ^ _best(gain.masked_fill(~edges, 0.0))
    return worst


def _try(
    situation: Situation, replaced: Bool[Tensor, "batch edges"], *, gradient: bool
) -> tuple[Float[Tensor, "batch edges"] | None, Float[Tensor, " batch"]]:
    """Tells what flipping each edge promises, if asked, and how many positions are wrong."""
    masks = replaced.to(situation.outputs).requires_grad_(gradient)
    with torch.set_grad_enabled(gradient):
        final = situation.executor.masked(situation.outputs[:2], situation.replacement, masks)
        logits = situation.executor.logits(final)
    right = situation.answers.right(logits.detach(), situation.target)
    wrong = (situation.scored & ~right).sum(1).to(logits)
    if not gradient:
        return None, wrong
    loss = _loss(logits, situation.target, situation.answers, situation.scored, right)
    (slope,) = torch.autograd.grad(loss.sum(), masks)
    return torch.where(replaced, -slope, slope).nan_to_num(0.0), wrong


def _loss(
    logits: Float[Tensor, "batch pos d_vocab_out"],
    target: Shaped[Tensor, "batch pos"],
    answers: Answers,
    scored: Bool[Tensor, "batch pos"],
    right: Bool[Tensor, "batch pos"],
) -> Float[Tensor, " batch"]:
    """How near the nearest right answer is to wrong; where none is right any more, how near the worst is.

    An answer's margin is the best other logit less the right one's, or a number's absolute error.
    """
    if answers.output == "numerical":
        margin = (logits[..., 0] - target).abs()
    else:
        classes = torch.where(scored, target, 0).unsqueeze(-1)
        others = logits.scatter(-1, classes, -torch.inf).amax(-1)
        margin = others - logits.gather(-1, classes).squeeze(-1)
    still = scored & right
    aim = torch.where(still.any(1, keepdim=True), still, scored)
    return margin.masked_fill(~aim, -torch.inf).amax(1).masked_fill(~scored.any(1), 0.0)


def _best(gain: Float[Tensor, "batch edges"]) -> Bool[Tensor, "batch edges"]:
    """Chooses the greater half of an example's gains; flipped all at once, the lesser ones more often hinder."""
    gains = torch.where(gain > 0, gain, torch.nan)
    return gains >= gains.nanmedian(1, keepdim=True).values
