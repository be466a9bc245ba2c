"""Says in plain words what a model gets wrong: in which interchange, how often, on what kind of inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Bool
from torch import Tensor

from siit.interchange import Pairs
from siit.interchange.evidence import evidence_pairs
from siit.training.fit.data_module import step_generator
from siit.training.fit.module import SIITModule
from siit.training.objective.draws import Replacement

FEWEST = 30
"""Scored positions, at least, of what is named as a kind of input."""


def diagnosis(module: SIITModule, evidence: Mapping[str, Tensor]) -> Iterator[str]:
    """Yields lines on the worst interchange of the averaged weights: how often it is wrong, and where most often.

    Args:
        module: what was trained.
        evidence: validation pairs.
    """
    pairs = evidence_pairs({name: tensor.to(module.device) for name, tensor in evidence.items()})
    names = ("no interchange at all", *module.objective.interchanges.names)
    shares, wrongs, counted = [], [], []
    for choice in range(len(names)):
        wrong, scored = _wrong(module, pairs, choice)
        wrongs.append(wrong)
        counted.append(scored)
        shares.append(float(wrong.sum() / scored.sum().clamp(min=1)))
    worst = max(range(len(names)), key=shares.__getitem__)
    if not shares[worst]:
        yield "every interchange alone is right on all validation pairs: what fails is off the circuit, or rarer"
        return
    wrong, scored = wrongs[worst], counted[worst]
    circuit = module.objective.interchanges.labels.circuit
    nodes = ", ".join(circuit.alignment.get(names[worst], ()))
    where = f" (held by {nodes})" if nodes else ""
    yield (
        f"worst interchange: {names[worst]}{where}: {shares[worst]:.2%} of {int(scored.sum()):,} validation answers "
        "are wrong"
    )
    is_token = pairs.base < len(module.objective.interchanges.model.vocab)
    lengths, sources = is_token.sum(1), (pairs.source < len(module.objective.interchanges.model.vocab)).sum(1)
    positions = torch.arange(wrong.shape[1], device=wrong.device).expand_as(wrong)
    kinds = {
        "at position": positions,
        "in bases of length": lengths.unsqueeze(1).expand_as(wrong),
        "with sources of length": sources.unsqueeze(1).expand_as(wrong),
    }
    for words, values in kinds.items():
        share, value = max(
            (
                (float(wrong[values == value].sum() / scored[values == value].sum()), int(value))
                for value in values[scored].unique()
                if int(scored[values == value].sum()) >= FEWEST
            ),
            default=(0.0, 0),
        )
        if share > 1.2 * shares[worst]:
            yield f"  most often {words} {value}: {share:.2%}"


@torch.no_grad()
def _wrong(
    module: SIITModule, pairs: Pairs, choice: int
) -> tuple[Bool[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """Finds where answers are wrong under an interchange, nothing being replaced off the circuit; and where scored."""
    generator = step_generator(module.seed, 0, module.device)
    objective = module.objective
    drawn = objective.draw(pairs, generator, False)
    choices = torch.full_like(drawn.choice, choice)
    replacement = drawn.replacement
    nothing = Replacement(
        torch.zeros_like(replacement.nodes),
        torch.zeros_like(replacement.edges),
        replacement.ablation,
        replacement.single,
    )
    drawn = dataclasses.replace(
        drawn,
        choice=choices,
        constant=torch.zeros_like(drawn.constant),
        source_positions=objective.interchanges.source_positions(pairs, choices, generator),
        replacement=nothing,
    )
    step = objective.evaluate(module.ema, pairs, drawn)
    return ~module.answers.right(step.logits, step.target) & step.scored, step.scored
