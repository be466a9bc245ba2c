"""What the labels and the causal model say of one unit: its nodes, what cannot be told from them, and what is right."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siit.causal import Inputs, Run
from siit.loading import LoadedModel
from siit.localization import VariableTask
from siit.localization.draw import interventions_at


@dataclass(frozen=True)
class Truth:
    """What is true of one unit.

    Attributes:
        nodes: that carry it.
        tied: nodes of other units whose interchange has the same answers.
        together: IIA with all nodes of the unit interchanged.
        untouched: IIA with nothing interchanged.
    """

    nodes: tuple[str, ...]
    tied: tuple[str, ...]
    together: float
    untouched: float


def truth(model: LoadedModel, unit: str, task: VariableTask) -> Truth:
    """Finds what is true of a unit, on a task's held-out pairs.

    Two units are tied where the causal model's answers are the same whichever of them is interchanged, at the same
    positions of the same pairs, wherever both are defined. No answer tells their nodes apart: all variables of a chain
    whose links stay at one position are tied, for example.

    Args:
        model: with its labels.
        unit: of its circuit.
        task: of that unit.
    """
    pairs = task.held_out.to(torch.device("cpu"))
    alignment = model.circuit.alignment
    base = model.causal_model.run(Inputs(pairs.base))
    source = model.causal_model.run(Inputs(pairs.source, pairs.source_positions))
    runs = {
        name: model.causal_model.run(
            Inputs(pairs.base), interventions_at(pairs.interchanged, name.split("+"), base, source)
        )
        for name in alignment
    }

    def same(other: Run) -> bool:
        both = runs[unit].scored & other.scored & base.scored
        return bool(model.answers.same(runs[unit].output, other.output)[both].all())

    tied = [node for name, run in runs.items() if name != unit and same(run) for node in alignment[name]]
    return Truth(alignment[unit], tuple(tied), _together(task, alignment[unit]), _untouched(task))


@torch.no_grad()
def _together(task: VariableTask, nodes: tuple[str, ...]) -> float:
    executor, right = task.executor, []
    masks = torch.tensor([float(node in nodes) for node in task.nodes]).to(task.model.embed.W_E)
    for batch in task.batches(task.held_out):
        replaced = batch.base + batch.differences
        final = executor.masked(batch.base[:2], replaced, masks.new_zeros(len(executor.edges)), masks)
        right.append(batch.right(executor.logits(final.flatten(0, 1)[batch.places])))
    return torch.cat(right).double().mean().item()


def _untouched(task: VariableTask) -> float:
    pairs = task.held_out
    return task.answers.same(pairs.untouched, pairs.target)[pairs.scored].double().mean().item()
