"""Makes the task of locating one unit of a loaded model: pairs in which its variables are interchanged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal import Inputs, Intervention, Interventions, Run
from siit.interchange import Interchanges, Pairs
from siit.interchange.interventions import ROUNDING, differs
from siit.loading import LoadedModel
from siit.localization.task import Positions, VariablePairs, VariableTask
from siit.tasks import Task
from siit.verification.declared import declared_task
from siit.verification.labels import derived_labels
from siit.verification.provenance import provenance

PAIRS = 256
"""Pairs of each part of a task, unless another number is asked for."""
_POOL = 8
"""Pairs drawn for each that is kept, so that enough of them have another answer."""
_SHARE = 0.5
"""Of the positions, at which a variable is interchanged where it is at some."""


class UnseenUnitError(ValueError):
    """No interchange of a unit changes an answer, so that nothing can be said of where it is."""


def variable_task(
    loaded: LoadedModel, unit: str, n_pairs: int = PAIRS, *, positions: Positions = "some", seed: int = 0
) -> VariableTask:
    """Makes a task of a model. No pair stands twice, so that a small input space may have fewer pairs.

    Half of them have another answer when the unit is interchanged, as far as there are.

    Args:
        loaded: the model; the task lives on its device.
        unit: of its circuit: a variable, or several joined by `+`.
        n_pairs: how many to fit on, and as many others to score on.
        positions: where the unit is interchanged: at `some` positions, half of them on average, drawn for each pair; or
            at `all`, as in the certificate.
        seed: of the draw.

    Raises:
        ValueError: names the argument, what was found and what is accepted.
        UnseenUnitError: no interchange of the unit changes an answer.
    """
    if n_pairs < 1:
        raise ValueError(f"n_pairs: found {n_pairs}, accepted is at least 1")
    if unit not in loaded.circuit.alignment:
        raise ValueError(f"unit: found {unit!r}, accepted: {', '.join(loaded.circuit.alignment)}")
    declared = declared_task(loaded.bundle, loaded.causal_model, provenance(loaded.bundle).inputs)
    labels = derived_labels(loaded.circuit, loaded.causal_model)
    interchanges = Interchanges(declared.model, labels, declared.permuted_positions)
    generator = torch.Generator().manual_seed(seed)
    pairs = _candidates(declared, 2 * _POOL * n_pairs, generator)
    share = _SHARE if positions == "some" else 1.0
    interchanged = torch.rand(pairs.base.shape, generator=generator) < share
    drawn = _interchanged(interchanges, unit, pairs, interchanged, generator)
    moved = (differs(drawn.target, drawn.untouched, loaded.answers.tolerance or ROUNDING) & drawn.scored).any(1)
    if not moved.any():
        raise UnseenUnitError(f"unit: found that no interchange of {unit} changes an answer, accepted: that some do")
    rows = _balanced(moved, drawn.scored.any(1), 2 * n_pairs, generator)
    if len(rows) < 2:
        raise ValueError(f"unit: found {len(rows)} pairs in which {unit} can be interchanged, accepted are at least 2")
    device = loaded.model.embed.W_E.device
    train, held_out = (drawn.some(part).to(device) for part in rows.tensor_split(2))
    classes = {name: loaded.causal_model.variables[name].values for name in labels.units[unit]}
    counts = {name: None if values is None else len(values) for name, values in classes.items()}
    return VariableTask(loaded.model, loaded.answers, counts, train, held_out)


def _candidates(task: Task, count: int, generator: torch.Generator) -> Pairs:
    """Draws different pairs that can be interchanged."""
    pairs = task.pairs("all", seed=int(torch.randint(1 << 31, (), generator=generator))).draw(count, generator)
    both = torch.cat([pairs.base, pairs.source], 1)
    if pairs.interchangeable is not None:
        both = both[pairs.interchangeable]
    both = both.unique(dim=0)
    both = both[torch.randperm(len(both), generator=generator)]
    return Pairs(*both.chunk(2, 1))


def _interchanged(
    interchanges: Interchanges,
    unit: str,
    pairs: Pairs,
    interchanged: Bool[Tensor, "pairs pos"],
    generator: torch.Generator,
) -> VariablePairs:
    """Runs the causal model on pairs, with the unit interchanged at some positions."""
    model, members = interchanges.model, interchanges.labels.units[unit]
    choice = torch.full((len(pairs),), 1 + interchanges.names.index(unit))
    positions = interchanges.source_positions(pairs, choice, generator)
    base, source = model.run(Inputs(pairs.base)), model.run(Inputs(pairs.source, positions))
    run = model.run(Inputs(pairs.base), interventions_at(interchanged, members, base, source))
    scored = run.scored & base.scored
    target, untouched = (torch.where(scored, one.output, torch.zeros_like(one.output)) for one in (run, base))
    values = {name: base.values[name] for name in members}
    tokens = pairs.base < len(model.vocab)
    return VariablePairs(pairs.base, pairs.source, positions, interchanged, scored, target, untouched, values, tokens)


def interventions_at(
    interchanged: Bool[Tensor, "pairs pos"], variables: Sequence[str], base: Run, source: Run
) -> Interventions:
    """Gives variables their source's values at some positions, and at all others the base's.

    Args:
        interchanged: at which positions.
        variables: which.
        base, source: the causal model's runs.
    """
    mixed = {name: torch.where(interchanged, source.values[name], base.values[name]) for name in variables}
    return Interventions({name: Intervention(values) for name, values in mixed.items()})


def _balanced(
    moved: Bool[Tensor, " pairs"], usable: Bool[Tensor, " pairs"], count: int, generator: torch.Generator
) -> Int[Tensor, " kept"]:
    """Chooses usable pairs, half of them moved ones as far as there are, in random order."""
    one, other = (rows.nonzero().squeeze(1) for rows in (usable & moved, usable & ~moved))
    half = max(count // 2, count - len(other))
    rows = torch.cat([one[:half], other[: count - min(half, len(one))]])
    return rows[torch.randperm(len(rows), generator=generator)]
