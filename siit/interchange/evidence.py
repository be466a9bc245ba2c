"""Builds the evidence: held-out pairs with the causal model's answers under every interchange."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from siit.causal import Inputs, Run
from siit.certificate import Answers
from siit.certificate.fields import MIN_CHANGED, MIN_SCORED
from siit.certificate.schema import BASE, SOURCE, positions_under, prefix_of, scored_masks
from siit.interchange.interventions import ROUNDING, Interchanges, differs
from siit.interchange.pairs import Pairs, PairSampler, permuted_positions

MAX_PAIRS = 1 << 15


def build_evidence(
    interchanges: Interchanges,
    sampler: PairSampler,
    seed: int,
    *,
    answers: Answers,
    pairs: int = 1024,
    min_scored: int = MIN_SCORED,
    min_changed: int = MIN_CHANGED,
) -> dict[str, Tensor]:
    """Draws pairs until every quantity rests on enough of them.

    Args:
        interchanges: the interchanges of the circuit.
        sampler: of the split; evidence lives on its device.
        seed: of the draws.
        answers: tells when two answers differ.
        pairs: how many to begin with; doubled while it is not enough, up to 32,768.
        min_scored: scored positions under every interchange.
        min_changed: pairs whose answer changes under every interchange that changes any.

    Returns:
        Tensors as `evaluation.safetensors` names them, [pairs, n_ctx] each. Where the doubling ended without enough
            pairs, these are what there is; the certificate then says so.
    """
    while True:
        # A draw of its own; what keeps evidence apart from training is its split.
        generator = torch.Generator(sampler.device).manual_seed((1 << 31) + seed)
        evidence, scored, changed = _tabulate(interchanges, sampler.draw(pairs, generator), generator, answers)
        enough = scored >= min_scored and all(count == 0 or count >= min_changed for count in changed)
        if enough or pairs >= MAX_PAIRS:
            return evidence
        pairs *= 2


def evidence_pairs(evidence: Mapping[str, Tensor]) -> Pairs:
    """Reads the pairs off evidence; those are interchangeable in which any interchange is scored.

    Args:
        evidence: as `build_evidence` makes it.
    """
    scored = [mask.any(1) for mask in scored_masks(evidence, bases=False)]
    interchangeable = torch.stack(scored).any(0) if scored else None
    return Pairs(evidence[f"{BASE}tokens"], evidence[f"{SOURCE}tokens"], interchangeable)


def _tabulate(
    interchanges: Interchanges, pairs: Pairs, generator: torch.Generator, answers: Answers
) -> tuple[dict[str, Tensor], int, list[int]]:
    """Makes the tensors; returns also the fewest scored positions, and each interchange's number of changed pairs."""
    base, source = interchanges.model.run(Inputs(pairs.base)), interchanges.model.run(Inputs(pairs.source))
    evidence: dict[str, Tensor] = {
        f"{BASE}tokens": pairs.base,
        f"{SOURCE}tokens": pairs.source,
        **answer_tensors(BASE, base),
        **answer_tensors(SOURCE, source),
        positions_under(None): permuted_positions(pairs.source, len(interchanges.model.vocab), generator),
    }
    scored, changed = int(base.scored.sum()), []
    for index, name in enumerate(interchanges.names):
        choice = torch.full((len(pairs),), index + 1, device=pairs.base.device)
        positions = interchanges.source_positions(pairs, choice, generator)
        run = interchanges.answers(pairs, choice, positions)
        evidence |= answer_tensors(prefix_of(name), run)
        if interchanges.position_only[index]:
            evidence[positions_under(name)] = positions
        scored = min(scored, int(run.scored.sum()))
        moved = differs(run.output, base.output, ROUNDING if answers.tolerance is None else answers.tolerance)
        changed.append(int((run.scored & base.scored & moved).any(1).sum()))
    return evidence, scored, changed


def answer_tensors(prefix: str, run: Run) -> dict[str, Tensor]:
    """Makes `<prefix>target` and `<prefix>scored` of a run; targets are 0 where undefined, for files hold no NaN.

    Args:
        prefix: of the tensors' names.
        run: the causal model's, [batch, pos].
    """
    target = torch.where(run.scored, run.output, torch.zeros_like(run.output))
    return {f"{prefix}target": target, f"{prefix}scored": run.scored}
