"""Rates the order in which a method has the nodes of a model against those that carry a unit.

- `apart`, the headline: heads and MLPs. Those of tied units are left out, since no answer tells them from the unit's.
  The embeddings are left out, since every variable is computed of what they hold;
- `all`: every node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from siit.evaluation.variables.result import ALL, APART, LocatedUnit, Placed, Placing
from siit.evaluation.variables.truth import Truth
from siit.graph.architecture import EMBEDDINGS
from siit.scoring.ranking import chance, rank


def located(scores: Mapping[str, float], structure: Mapping[str, float], true: Truth) -> LocatedUnit:
    """Rates scores.

    Args:
        scores: of every node.
        structure: the structure null's.
        true: what is true of the unit.
    """
    away = {*EMBEDDINGS, *true.tied}
    views = {ALL: list(scores), APART: [node for node in scores if node not in away]}
    others = [node for node in views[APART] if node not in true.nodes]
    best = max(others, key=scores.__getitem__, default=None)
    return LocatedUnit(
        nodes=true.nodes,
        tied=true.tied,
        views={
            name: placed(nodes, scores, structure, true.nodes)
            for name, nodes in views.items()
            if any(node not in true.nodes for node in nodes)
        },
        at_nodes=max(scores[node] for node in true.nodes),
        at_others=None if best is None else scores[best],
        best_other=best,
        together=true.together,
        untouched=true.untouched,
        scores=dict(scores),
    )


def placed(
    nodes: list[str], scores: Mapping[str, float], structure: Mapping[str, float], true: tuple[str, ...]
) -> Placed:
    """Rates an order of some nodes.

    Args:
        nodes: which.
        scores, structure: of at least these.
        true: those that carry the unit; all of them are among `nodes`, and others too.
    """
    labels = np.array([node in true for node in nodes])
    random = np.zeros(len(nodes))
    expected = chance(int(labels.sum()), int((~labels).sum())).average_precision
    own, null = (placing(labels, np.array([values[node] for node in nodes])) for values in (scores, structure))
    shuffled = placing(labels, random)
    return Placed(
        **vars(own),
        positives=int(labels.sum()),
        negatives=int((~labels).sum()),
        random=Placing(shuffled.top_1, shuffled.reciprocal_rank, expected),
        structure=null,
    )


def placing(labels: Bool[np.ndarray, " nodes"], scores: Float[np.ndarray, " nodes"]) -> Placing:
    """Tells how far to the front the true nodes are. Equal scores count as in a random order of them.

    Of n equal ones let t be true. Then the first true one is at place j with probability C(n - j, t - 1) / C(n, t).

    Args:
        labels: True for nodes that carry the unit; there are some.
        scores: higher is nearer to the front; no NaN.
    """
    top = scores[labels].max()
    before, equal = int((scores > top).sum()), int((scores == top).sum())
    true = int((labels & (scores == top)).sum())
    first = [math.comb(equal - place, true - 1) / math.comb(equal, true) for place in range(1, equal + 1)]
    return Placing(
        top_1=true / equal if before == 0 else 0.0,
        reciprocal_rank=math.fsum(share / (before + place) for place, share in enumerate(first, 1)),
        average_precision=rank(labels, scores).average_precision,
    )
