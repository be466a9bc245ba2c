"""Makes a discovery task of a loaded model: fresh pairs, drawn over the input space that its bundle declares."""

from __future__ import annotations

import torch
from torch import Tensor

from siit.causal import Inputs
from siit.discovery.task import DiscoveryTask
from siit.interchange import Pairs
from siit.interop.dataset import SOURCE
from siit.loading import LoadedModel
from siit.tasks import Task
from siit.verification.declared import declared_task
from siit.verification.provenance import provenance

PAIRS = 256
"""Pairs of a task, unless another number is asked for."""
_ROUNDS = 32
"""Draws after which a space has no further pairs."""


def task_of(
    loaded: LoadedModel,
    n_pairs: int = PAIRS,
    *,
    corruption: str = SOURCE,
    permute_positions: bool = True,
    seed: int = 0,
) -> DiscoveryTask:
    """Makes a task of a model. No pair of it is in the model's evidence, on which circuits are scored.

    Only where the evidence is all pairs there are, the task has some of them too.

    Args:
        loaded: the model, with its evidence; the task lives on its device.
        n_pairs: how many.
        corruption: `source`, another input; or a contrast that the case has, such as `third_name`, which changes what
            matters only.
        permute_positions: whether the corrupted runs have permuted position ids, BOS and PAD in place. If not, no
            corruption reaches an edge from `pos_embed`.
        seed: of the draw.

    Raises:
        ValueError: names the argument, what was found and what is accepted; or no inputs are declared.
    """
    if n_pairs < 1:
        raise ValueError(f"n_pairs: found {n_pairs}, accepted is at least 1")
    task = declared_task(loaded.bundle, loaded.causal_model, provenance(loaded.bundle).inputs)
    generator = torch.Generator().manual_seed(seed)
    pairs = _unseen(loaded, task, n_pairs, corruption, generator)
    run = task.model.run(Inputs(pairs.base))
    device = loaded.model.embed.W_E.device
    return DiscoveryTask(
        model=loaded.model,
        output=loaded.answers.output,
        clean=pairs.base.to(device),
        corrupted=pairs.source.to(device),
        scored=run.scored.to(device),
        target=torch.where(run.scored, run.output, torch.zeros_like(run.output)).to(device),
        corrupted_positions=task.permuted_positions(pairs, generator).to(device) if permute_positions else None,
    )


def _unseen(loaded: LoadedModel, task: Task, n_pairs: int, corruption: str, generator: torch.Generator) -> Pairs:
    """Draws pairs of which something is scored, and that the evidence does not have."""
    sampler = task.pairs("train", seed=int(torch.randint(1 << 31, (), generator=generator)))
    seen = set() if loaded.bundle.exhaustive else _rows(_evidence(loaded, corruption))
    base: list[Tensor] = []
    corrupted: list[Tensor] = []
    for _ in range(_ROUNDS):
        drawn = sampler.draw(n_pairs, generator)
        source = drawn.source if corruption == SOURCE else _contrast(task, drawn.base, corruption, generator)
        # Of a contrast no base may be in the evidence.
        told = torch.cat([drawn.base, source], 1) if corruption == SOURCE else drawn.base
        kept = task.model.run(Inputs(drawn.base)).scored.any(1) & (drawn.base != source).any(1)
        if corruption == SOURCE and drawn.interchangeable is not None:
            kept &= drawn.interchangeable
        kept &= torch.tensor([row not in seen for row in map(tuple, told.tolist())])
        base.append(drawn.base[kept])
        corrupted.append(source[kept])
        if sum(map(len, base)) >= n_pairs:
            return Pairs(torch.cat(base)[:n_pairs], torch.cat(corrupted)[:n_pairs])
    raise ValueError(f"n_pairs: found {n_pairs}, accepted are at most {sum(map(len, base))} for {loaded.case}")


def _contrast(task: Task, base: Tensor, corruption: str, generator: torch.Generator) -> Tensor:
    contrasts = task.contrasts(base, generator)
    if corruption not in contrasts:
        raise ValueError(f"corruption: found {corruption!r}, accepted: {', '.join((SOURCE, *contrasts))}")
    return contrasts[corruption]


def _evidence(loaded: LoadedModel, corruption: str) -> Tensor:
    base = loaded.evidence["base_tokens"]
    return torch.cat([base, loaded.evidence["source_tokens"]], 1) if corruption == SOURCE else base


def _rows(tokens: Tensor) -> set[tuple[int, ...]]:
    return set(map(tuple, tokens.tolist()))
