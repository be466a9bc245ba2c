"""Stored answers: every target of the evidence, computed again by the causal model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from siit.causal import CausalModel, Inputs, Run
from siit.interchange import Interchanges, Pairs, evidence_pairs

NEXT_TOKEN = "next_token"
"""The reported inputs whose targets are the tokens that follow, not the causal model's answers."""
_ROUNDING = 1e-5


def answer_findings(
    evidence: Mapping[str, Tensor], interchanges: Interchanges, *, all_interchangeable: bool
) -> Iterator[str]:
    """Lists the tensors of `evaluation.safetensors` that say something else than the causal model.

    Args:
        evidence: the stored tensors, [pairs, pos] each.
        interchanges: of the derived labels.
        all_interchangeable: whether every pair can take part in an interchange, as in all tasks but sentences.
    """
    model = interchanges.model
    base, source = evidence["base_tokens"], evidence["source_tokens"]
    yield from _compared("base_", model.run(Inputs(base)), evidence)
    yield from _compared("source_", model.run(Inputs(source)), evidence)
    pairs = Pairs(base, source) if all_interchangeable else evidence_pairs(evidence)
    for index, name in enumerate(interchanges.names):
        key = f"do/{name}/source_positions"
        if (key in evidence) != interchanges.position_only[index]:
            accepted = "position ids" if interchanges.position_only[index] else "nothing"
            yield f"{key}: found {'position ids' if key in evidence else 'nothing'}, accepted is {accepted}"
            continue
        choice = torch.full((len(base),), index + 1)
        yield from _compared(f"do/{name}/", interchanges.answers(pairs, choice, evidence.get(key)), evidence)
    yield from _further(evidence, model)


def _further(evidence: Mapping[str, Tensor], model: CausalModel) -> Iterator[str]:
    """Contrasts, and inputs that are reported only."""
    for name in evidence:
        if not (name.startswith(("contrast/", "probe/")) and name.endswith("/tokens")):
            continue
        prefix, tokens = name.removesuffix("tokens"), evidence[name]
        if prefix == f"probe/{NEXT_TOKEN}/":
            scored = evidence[f"{prefix}scored"]
            wrong = (evidence[f"{prefix}target"] != tokens.roll(-1, 1)) & scored
            if bool(wrong.any()) or bool(scored[:, -1].any()):
                yield f"{prefix}target: found another token than the one that follows"
        else:
            yield from _compared(prefix, model.run(Inputs(tokens)), evidence)


def _compared(prefix: str, run: Run, evidence: Mapping[str, Tensor]) -> Iterator[str]:
    target, scored = evidence[f"{prefix}target"], evidence[f"{prefix}scored"]
    if target.is_floating_point() != run.output.is_floating_point():
        yield f"{prefix}target: found {target.dtype}, accepted is {run.output.dtype}"
        return
    other = int((scored != run.scored).sum())
    if other:
        yield f"{prefix}scored: found another value than the causal model's at {other} of {scored.numel()} positions"
    if bool((target[~scored] != 0).any()):
        yield f"{prefix}target: found values at positions that are not scored, accepted are zeros"
    gap = (target - run.output).abs() if target.is_floating_point() else (target != run.output)
    wrong = int(((gap > _ROUNDING) & scored & run.scored).sum())
    if wrong:
        counted = int(scored.sum())
        yield f"{prefix}target: found another answer than the causal model's at {wrong} of {counted} positions"
