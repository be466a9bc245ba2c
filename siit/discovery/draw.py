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
    task = _declared(loaded, n_pairs)
    generator = torch.Generator().manual_seed(seed)
    return _made(loaded, task, _unseen(loaded, task, n_pairs, corruption, generator), permute_positions, generator)


def held_out_task(
    loaded: LoadedModel,
    n_pairs: int = PAIRS,
    *,
    corruption: str = SOURCE,
    permute_positions: bool = True,
    seed: int = 0,
) -> DiscoveryTask:
    """Makes a task of pairs of the model's evidence, on which circuits are measured and no method is tuned.

    Args:
        loaded, corruption, permute_positions, seed: see `task_of`.
        n_pairs: how many; fewer where the evidence has no more.

    Raises:
        ValueError: see `task_of`.
    """
    task = _declared(loaded, n_pairs)
    generator = torch.Generator().manual_seed(seed)
    evidence = loaded.evidence
    base = evidence["base_tokens"]
    source = evidence["source_tokens"] if corruption == SOURCE else _contrast(task, base, corruption, generator)
    kept = task.model.run(Inputs(base)).scored.any(1) & (base != source).any(1)
    if corruption == SOURCE:
        # Where a source cannot be interchanged, no interchange is scored.
        told = [evidence[name].any(1) for name in evidence if name.startswith("do/") and name.endswith("/scored")]
        kept &= torch.stack(told).any(0)
    rows = kept.nonzero().squeeze(1)
    rows = rows[torch.randperm(len(rows), generator=generator)[:n_pairs]]
    return _made(loaded, task, Pairs(base[rows], source[rows]), permute_positions, generator)


def contrasts_of(loaded: LoadedModel) -> tuple[str, ...]:
    """Lists the contrasts that a model's case has; most have none."""
    return tuple(_declared(loaded, 1).contrasts(loaded.evidence["base_tokens"][:1], torch.Generator().manual_seed(0)))


def _declared(loaded: LoadedModel, n_pairs: int) -> Task:
    """Makes the declared task, of which at least one pair must be asked for."""
    if n_pairs < 1:
        raise ValueError(f"n_pairs: found {n_pairs}, accepted is at least 1")
    return declared_task(loaded.bundle, loaded.causal_model, provenance(loaded.bundle).inputs)


def _made(
    loaded: LoadedModel, task: Task, pairs: Pairs, permute_positions: bool, generator: torch.Generator
) -> DiscoveryTask:
    """Makes a task of pairs; what is right is what the causal model says."""
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
