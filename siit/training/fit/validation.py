"""Checks a model in training on validation pairs: its circuit alone, and the certificate with validation's bars."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from siit.certificate import BARS, Certificate, measure
from siit.certificate.certificate import SHARES
from siit.interchange.evidence import evidence_pairs
from siit.training.fit.data_module import step_generator
from siit.training.fit.module import SIITModule

ROUNDS = 4
"""How often each validation pair is used to see whether the circuit alone passes, with another interchange each time.

A few interchanges leave few positions with an answer. Where the first round is far from the bar, it is the only one."""
FAR = 0.02
"""Below the bar by this much, a round is not followed by another."""
PAIRS_AT_ONCE = 512
"""Of more, tensors are so large that each is memory fetched anew from the system: a third of the time, for IOI."""

ADVERSARY_SCORED = 3072
"""Scored positions of each half on which the adversary's subsets are measured. Fewer tell too little.
Of 1,536 none is wrong in half of the checks where the model has half of the errors that the certificate allows."""
PARTS_PAIRS = 256
"""Validation pairs on which random subsets are measured: the next ones at each check. Where a pair has one
answer, a single wrong one is more than the bar allows: always the same pairs could be in the way for ever."""
ALONE_PAIRS = 64
"""Of these, pairs on which each part is replaced alone: it takes longest, and the adversary finds most of it before."""
SUBSETS = 20
"""Random subsets of a check; the adversary's are worse."""


def halves(evidence: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yields the first and the second half of validation pairs."""
    yield from itertools.islice(_parts(evidence, _count(evidence) // 2), 2)


def _count(evidence: Mapping[str, Tensor]) -> int:
    return len(next(iter(evidence.values())))


def _parts(evidence: Mapping[str, Tensor], size: int) -> Iterator[dict[str, Tensor]]:
    """Yields pairs in parts of a size; the last may have less."""
    for start in range(0, _count(evidence), size):
        yield {name: tensor[start : start + size] for name, tensor in evidence.items()}


@torch.no_grad()
def circuit_alone(module: SIITModule, evidence: Mapping[str, Tensor], bar: float) -> tuple[float, str]:
    """Measures the share of right answers with everything off the circuit replaced, in the worst interchange.

    Args:
        module: whose averaged weights are measured.
        evidence: validation pairs, on the module's device.
        bar: that the share has to reach; far below it the measurement ends early.

    Returns:
        The share, and the interchange's name.
    """
    parts = [evidence_pairs(part) for part in _parts(evidence, PAIRS_AT_ONCE)]
    generator = step_generator(module.seed, 0, module.device)
    interchanges = module.objective.interchanges
    count = len(interchanges.names) + 1
    total, good = torch.zeros(2, count, device=module.device)
    for shift in range(ROUNDS):
        for pairs in parts:
            drawn = module.objective.draw(pairs, generator, True)
            choice = (torch.arange(len(pairs), device=module.device) + shift) % count
            drawn = dataclasses.replace(
                drawn,
                choice=choice,
                constant=torch.zeros_like(drawn.constant),
                source_positions=interchanges.source_positions(pairs, choice, generator),
            )
            step = module.objective.evaluate(module.ema, pairs, drawn)
            correct = module.answers.right(step.logits, step.target) & step.scored
            total.index_add_(0, choice, step.scored.sum(1).float())
            good.index_add_(0, choice, correct.sum(1).float())
        worst, place = torch.where(total > 0, good / total.clamp(min=1), 1.0).min(0)
        if float(worst) < bar - FAR:
            break
    return float(worst), ("no interchange", *interchanges.names)[int(place)]


def validation_certificate(module: SIITModule, evidence: Mapping[str, Tensor], check: int = 0) -> Certificate:
    """Measures the averaged weights on validation pairs, with validation's own bar for the shares.

    The worst of the random subsets, a minimum over many small samples already, keeps the certificate's bar. Those of
    interchanges and of the adversary are half-way between validation's and the certificate's. Whether a member of the
    circuit is idle is told by `narrowing.idle_in`.

    Args:
        module: whose averaged weights are measured.
        evidence: validation pairs with the causal model's answers, on the module's device.
        check: a number of the check, which chooses the pairs on which off-circuit parts are measured.
    """
    rolled = {name: tensor.roll(-check * PARTS_PAIRS, 0) for name, tensor in evidence.items()}
    own = module.settings.validation_bar
    bars = {**BARS, **{name: own for name in SHARES if name != "strict_subsets"}}
    bars |= {name: min(own, (own + BARS[name]) / 2) for name in ("iia", "edge_iia", "strict_adversarial")}
    circuit = module.objective.interchanges.labels.circuit
    return measure(
        module.model.config,
        module.averaged,
        circuit,
        rolled,
        module.answers,
        staged=True,
        parts_pairs=PARTS_PAIRS,
        alone_pairs=ALONE_PAIRS,
        adversary_scored=ADVERSARY_SCORED,
        subsets=SUBSETS,
        min_scored=0,
        min_changed=0,
        bars=bars,
    )
