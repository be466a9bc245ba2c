"""Information flow routes: which terms of what a node reads are near to it, and lie on a route to the logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from siit.discovery.method import zeros
from siit.discovery.task import DiscoveryTask, TaskBatch


@dataclass(frozen=True)
class InformationFlow:
    """Information flow routes (Ferrando, Voita, arXiv 2403.00824, section 2).

    A term's importance to a sum is max(0, |sum| - |sum - term|), by L1 norms, as a share of that of all terms. It is
    averaged over pairs, and over positions (of the logits' over the scored ones). From the logits backwards, the
    paper keeps edges whose importance exceeds a threshold. So an edge's score is the greatest threshold at which it is
    on a route: the least importance on the best route from it to the logits. Nothing is corrupted.

    Attributes:
        routes: whether scores are of routes; if not, they are the importances themselves.
    """

    routes: bool = True

    @torch.no_grad()
    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge, by two runs forward for each pair."""
        total = zeros(task, len(task.edges))
        for batch in task.batches():
            total += torch.cat(list(_importance(task, batch)))
        importance = dict(zip(task.executor.edges, (total / len(task)).tolist(), strict=True))
        if not self.routes:
            return {str(edge): value for edge, value in importance.items()}
        widths = dict.fromkeys(task.nodes, 0.0) | {"logits": math.inf}
        scores = {}
        # Receivers come in the order of computation: all edges out of a node are known before those into it.
        for edge in reversed(importance):
            scores[str(edge)] = min(importance[edge], widths[edge.receiver])
            widths[edge.sender] = max(widths[edge.sender], scores[str(edge)])
        return scores


def _importance(task: DiscoveryTask, batch: TaskBatch) -> Iterator[Float[Tensor, " edges"]]:
    """Sums the importances of edges over a batch, for one block of receivers after the other, in the order of edges."""
    heads, layers = task.config.n_heads, task.executor.layers
    before, bias = 2, torch.zeros_like(batch.clean[0])
    for layer in layers:
        yield _shares(batch.clean[:before], bias).mean(2).sum(1).repeat(3 * heads)
        before, bias = before + heads, bias + layer.bias
        yield _shares(batch.clean[:before], bias).mean(2).sum(1)
        before += 1
    yield _shares(batch.clean, bias).flatten(1)[:, batch.places] @ batch.weights


def _shares(
    terms: Float[Tensor, "terms batch pos d_model"], bias: Float[Tensor, "batch pos d_model"]
) -> Float[Tensor, "terms batch pos"]:
    """Computes each term's share of the importance to their sum; 0 where no term is near to it."""
    total = terms.sum(0) + bias
    near = total.abs().sum(-1) - torch.stack([(total - term).abs().sum(-1) for term in terms])
    near = near.clamp(min=0)
    return near / near.sum(0).clamp(min=torch.finfo(near.dtype).tiny)
