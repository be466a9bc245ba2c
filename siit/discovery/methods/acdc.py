"""ACDC: walks from the logits backwards, and leaves out every edge whose replacement costs less than a threshold."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from siit.certificate.fields import Kind
from siit.discovery.method import Parameters, by_name
from siit.discovery.task import DiscoveryTask, TaskBatch
from siit.graph.architecture import LOGITS, Edge

LOOK_AHEAD = 8
"""Edges that a walk proposes to begin with; twice as many after a run in which none is kept, half after another."""


@dataclass(frozen=True)
class Acdc(Parameters):
    """Automatic circuit discovery (ACDC; Conmy et al., arXiv 2304.14997, section 3, algorithm 1), at many thresholds.

    Receivers are visited in reverse order of computation, and each one's senders too. An edge is replaced for good if
    that raises the divergence from the clean run by less than the threshold. An edge's score is the greatest threshold
    at which it is kept, 0 if it is kept at none.

    All thresholds walk together. Each proposes to replace its next edges one after the other, and all these cumulative
    proposals share one run. Up to the first edge that is kept they are what one run for each edge would have found.
    Edges into a node of which no edge is left change nothing, and take no run.

    Attributes:
        thresholds: as shares of the divergence with everything replaced.
        by: what replaces: `resample` (the corrupted run), `mean` or `zero`.
    """

    thresholds: tuple[float, ...] = tuple(10 ** (-exponent / 4) for exponent in range(20, 0, -1))
    by: Kind = "resample"

    def __call__(self, task: DiscoveryTask) -> dict[str, float]:
        """Scores every edge."""
        runs = _Runs(task, self.by)
        (everything,) = runs.divergences([bytes([1]) * len(task.edges)])
        kept = self._kept(task, runs, [share * everything for share in self.thresholds])
        shares = torch.tensor(self.thresholds).unsqueeze(1)
        return by_name(task.edges, (kept * shares).amax(0))

    def kept(self, task: DiscoveryTask, thresholds: Sequence[float]) -> Bool[Tensor, "thresholds edges"]:
        """Finds the edges that are kept at each threshold.

        Args:
            task: the model and pairs.
            thresholds: in the unit of the divergence: nats, or the square of the answers' unit.
        """
        return self._kept(task, _Runs(task, self.by), thresholds)

    def _kept(self, task: DiscoveryTask, runs: _Runs, thresholds: Sequence[float]) -> Bool[Tensor, "thresholds edges"]:
        (start,) = runs.divergences([bytes(len(task.edges))])
        walks = [_Walk(task.executor.edges, threshold, start) for threshold in thresholds]
        while active := [walk for walk in walks if walk.next_edges()]:
            proposals = [walk.proposals() for walk in active]
            values = iter(runs.divergences([masks for some in proposals for masks in some]))
            for walk, some in zip(active, proposals, strict=True):
                walk.settle([next(values) for _ in some])
        return torch.tensor([walk.kept for walk in walks])


class _Runs:
    """Measures the mean divergence under sets of replaced edges, each set once.

    Args:
        task: the model and pairs.
        by: kind of replacement.
    """

    def __init__(self, task: DiscoveryTask, by: Kind) -> None:
        self.batches, self.pairs, self.by = list(task.batches()), len(task), by
        self.at_once = max(1, task.batch_size // len(task))
        self.known: dict[bytes, float] = {}
        # A set of no edge has its first one behind the last.
        self.block_ends = task.executor.block_ends[:-1]

    @torch.no_grad()
    def divergences(self, sets: Sequence[bytes]) -> list[float]:
        """Measures sets, given as one byte for each edge; this is where a walk waits for the device."""
        # Walks begin at the logits: nothing before a set's first edge has changed, and none of it is computed again.
        new = sorted((masks for masks in dict.fromkeys(sets) if masks not in self.known), key=_first_edge)
        values = []
        for start in range(0, len(new), self.at_once):
            some = new[start : start + self.at_once]
            first = bisect.bisect_right(self.block_ends, _first_edge(some[0]))
            part = torch.tensor([list(masks) for masks in some])
            totals = torch.stack([self._total(batch, part, first) for batch in self.batches])
            values.append(totals.sum(0) / self.pairs)
        if values:
            self.known |= dict(zip(new, torch.cat(values).tolist(), strict=True))
        return [self.known[masks] for masks in sets]

    def _total(self, batch: TaskBatch, sets: Int[Tensor, "sets edges"], first: int) -> Float[Tensor, " sets"]:
        """Adds up a batch's divergences under each of some sets, in one run."""
        several = batch.repeated(len(sets))
        masks = sets.to(several.clean).repeat_interleave(len(batch), 0)
        found = several.divergence(several.run_from(first, masks, by=self.by))
        return found.view(len(sets), -1).sum(1)


def _first_edge(masks: bytes) -> int:
    """Finds the first edge of a set in the order of computation; of an empty one, the place behind the last."""
    place = masks.find(1)
    return len(masks) if place < 0 else place


class _Walk:
    """One walk over all edges, at one threshold.

    Args:
        edges: in the order of computation.
        threshold: what an edge must cost to be kept.
        divergence: with no edge replaced.
    """

    def __init__(self, edges: Sequence[Edge], threshold: float, divergence: float) -> None:
        self.edges, self.threshold, self.divergence = edges, threshold, divergence
        self.kept = [False] * len(edges)
        self.replaced = bytearray(len(edges))
        self.place = len(edges) - 1
        self.ahead = LOOK_AHEAD
        self.alive = {LOGITS}

    def next_edges(self) -> list[int]:
        """Lists the next edges to decide on. All edges out of their receivers are decided, and one is kept."""
        left = (edge for edge in range(self.place, -1, -1) if self.edges[edge].receiver in self.alive)
        return list(itertools.islice(left, self.ahead))

    def proposals(self) -> list[bytes]:
        """Proposes to replace one more edge, two more, and so on."""
        masks, found = bytearray(self.replaced), []
        for edge in self.next_edges():
            masks[edge] = 1
            found.append(bytes(masks))
        return found

    def settle(self, divergences: Sequence[float]) -> None:
        """Decides on edges, up to the first one that is kept.

        Args:
            divergences: under each proposal.
        """
        for edge, value in zip(self.next_edges(), divergences, strict=True):
            self.place = edge - 1
            # NaN keeps an edge.
            if not value - self.divergence < self.threshold:
                self.kept[edge] = True
                self.alive.add(self.edges[edge].sender)
                self.ahead = max(1, self.ahead // 2)
                return
            self.replaced[edge], self.divergence = 1, value
        self.ahead *= 2
