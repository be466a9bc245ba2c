"""Builds the evidence: held-out pairs with the causal model's answers under every intervention."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from siit.causal import Inputs, Run
from siit.data import Pairs, Sampler, Task, permuted_positions
from siit.exchanges import ROUNDING, Exchanges, differs

MIN_SCORED = 4096
MIN_CHANGED = 200
MAX_PAIRS = 1 << 15


def build_evidence(
    exchanges: Exchanges,
    sampler: Sampler,
    seed: int,
    *,
    tolerance: float | None,
    pairs: int = 1024,
    min_scored: int = MIN_SCORED,
    min_changed: int = MIN_CHANGED,
) -> dict[str, Tensor]:
    """Draws pairs until every quantity rests on enough of them; tensors as `evaluation.safetensors` names them.

    Args:
        exchanges: the interchanges of the circuit.
        sampler: of the split; evidence lives on its device.
        seed: of the draws.
        tolerance: by how much a numerical answer must differ to count as changed; None for classes.
        pairs: how many to begin with; doubled while it is not enough, up to 32,768.
        min_scored: scored positions under every exchange.
        min_changed: pairs whose answer changes under every exchange that changes any.

    Returns:
        The tensors; where the doubling ended without enough, what there is (the certificate then says so).
    """
    while True:
        # Of a CPU generator's seed only the lower 32 bits count; training's steps are below 2^31.
        generator = torch.Generator(sampler.device).manual_seed((1 << 31) + seed)
        evidence, scored, changed = _tabulate(exchanges, sampler.draw(pairs, generator), generator, tolerance)
        enough = scored >= min_scored and all(count == 0 or count >= min_changed for count in changed)
        if enough or pairs >= MAX_PAIRS:
            return evidence
        pairs *= 2


def further_evidence(task: Task, base: Int[Tensor, "pairs pos"], seed: int) -> dict[str, Tensor]:
    """Contrasts of the bases, and probes: `contrast/<kind>/...` and `probe/<name>/...`, as many rows as bases."""
    generator = torch.Generator(base.device).manual_seed((1 << 31) + seed)
    found: dict[str, Tensor] = {}
    for kind, tokens in task.contrasts(base, generator).items():
        found |= {f"contrast/{kind}/tokens": tokens, **_answers(f"contrast/{kind}/", task.model.run(Inputs(tokens)))}
    for name, probe in task.probes(len(base), generator).items():
        found |= {f"probe/{name}/{field}": getattr(probe, field) for field in ("tokens", "target", "scored")}
    return found


def evidence_pairs(evidence: Mapping[str, Tensor]) -> Pairs:
    """The pairs of evidence; exchangeable are those in which any exchange is scored."""
    names = [name for name in evidence if name.startswith("do/") and name.endswith("/scored")]
    exchanged = [evidence[name].any(1) for name in names]
    exchangeable = torch.stack(exchanged).any(0) if exchanged else None
    return Pairs(evidence["base_tokens"], evidence["source_tokens"], exchangeable)


def _tabulate(
    exchanges: Exchanges, pairs: Pairs, generator: torch.Generator, tolerance: float | None
) -> tuple[dict[str, Tensor], int, list[int]]:
    """The tensors, the smallest number of scored positions, and each exchange's number of changed pairs."""
    base, source = exchanges.model.run(Inputs(pairs.base)), exchanges.model.run(Inputs(pairs.source))
    evidence: dict[str, Tensor] = {
        "base_tokens": pairs.base,
        "source_tokens": pairs.source,
        **_answers("base_", base),
        **_answers("source_", source),
        "source_positions": permuted_positions(pairs.source, len(exchanges.model.vocab), generator),
    }
    scored, changed = int(base.scored.sum()), []
    for index, name in enumerate(exchanges.names):
        choice = torch.full((len(pairs),), index + 1, device=pairs.base.device)
        positions = exchanges.source_positions(pairs, choice, generator)
        run = exchanges.answers(pairs, choice, positions)
        evidence |= _answers(f"do/{name}/", run)
        if exchanges.position_only[index]:
            evidence[f"do/{name}/source_positions"] = positions
        scored = min(scored, int(run.scored.sum()))
        moved = differs(run.output, base.output, ROUNDING if tolerance is None else tolerance)
        changed.append(int((run.scored & base.scored & moved).any(1).sum()))
    return evidence, scored, changed


def _answers(prefix: str, run: Run) -> dict[str, Tensor]:
    """Targets are 0 where they are undefined: files hold no NaN."""
    target = torch.where(run.scored, run.output, torch.zeros_like(run.output))
    return {f"{prefix}target": target, f"{prefix}scored": run.scored}
