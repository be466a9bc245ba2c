"""What a drawn program must be: a well-formed task of its tier, in which everything matters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal import CausalModel, Inputs, Nearest, Run, SelectionShare
from siit.causal.mechanisms import Values, undefined
from siit.certificate import Answers
from siit.graph.architecture import EMBEDDINGS, LOGITS, ModelConfig
from siit.graph.circuit import Circuit
from siit.graph.tiers import COMPOSED, DEEP, POINTWISE, SINGLE, tier
from siit.interchange import Pairs
from siit.interchange.alignment import (
    AlignmentConfig,
    Labels,
    derive_labels,
    draw_alignment,
    heads_needed,
    program_layers,
)
from siit.interchange.capacity import one_head_each
from siit.interchange.interventions import ROUNDING, Interchanges, differs, inert_parts
from siit.tasks import SAMPLERS, Task
from siit.tasks.pairs import SAME_LENGTH
from siit.training.rasp import task_from_case
from siit.training.rasp.agreement import check_agreement
from siit.training.rasp.from_rasp import ProgramError, build_causal_model
from tracr_cases import Case

PAIRS = 2048
"""Pairs of base and source on which all shares are measured."""
CLASSES = (2, 10)
"""How many classes the answer may have, at least and at most."""
LARGEST_CLASS = 0.8
"""Share of the scored positions that one class may have."""
UNDEFINED = 0.02
"""Share of the tokens at which the answer may be undefined."""
VARIABLE_EFFECT = 0.1
"""Least share of the pairs in which interchanging one variable alone, or the tokens, must change the answer."""
EDGE_EFFECT = 0.02
"""The same share for one edge of the causal model: what one child alone reads."""
HEADS = 4
"""Attention variables in one layer, at most. A model has as many heads as they need (`siit.interchange.capacity`)."""
NODES = {POINTWISE: (1, 3), SINGLE: (1, 2), COMPOSED: (4, 10), DEEP: (5, 14)}
"""Heads and MLPs of the circuit, at least and at most, with one head for each attention variable."""


class Rejected(Exception):
    """A draw that is no program of its tier.

    Attributes:
        reason: in words that are the same for all draws of this kind.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Inspected:
    """A program that was found to be well formed.

    Attributes:
        model: its causal model.
        circuit: its circuit in the smallest transformer with room for it, one head for each attention variable.
    """

    model: CausalModel
    circuit: Circuit


def check_program(case: Case, wanted: str) -> Inspected:
    """Checks all but the agreement with Tracr.

    Args:
        case: the program.
        wanted: its tier.

    Raises:
        Rejected: the first of the checks that does not hold.
    """
    try:
        model = build_causal_model(case)
    except ProgramError as error:
        raise Rejected("it has no causal model", str(error)) from error
    task = task_from_case(case, model)
    pairs = _pairs(task, torch.Generator().manual_seed(0))
    run = model.run(Inputs(pairs.base))
    _check_answers(model, run, pairs)
    _check_different(model, run, pairs.base)
    labels = _labels(task, model, pairs)
    _check_tier(labels.circuit, wanted)
    _check_effects(model, labels, pairs)
    return Inspected(model, labels.circuit)


def check_compiled(case: Case, model: CausalModel) -> None:
    """Compiles the program with Tracr (seconds), and compares it with RASP and the causal model.

    Args:
        case: the program.
        model: its causal model.

    Raises:
        Rejected: it does not compile, or they disagree.
    """
    try:
        check_agreement(case, model)
    except ProgramError as error:
        raise Rejected("Tracr's compiled model or RASP disagrees", str(error)) from error


def hidden_nodes(circuit: Circuit) -> list[str]:
    """Lists the heads and MLPs of a circuit."""
    return [node for node in circuit.members if node not in (*EMBEDDINGS, LOGITS)]


def _pairs(task: Task, generator: torch.Generator) -> Pairs:
    """Pairs as training draws them, but for the splits: half of the sources have the base's length."""
    low, high = task.min_len, task.model.max_len + 1
    lengths, others = torch.randint(low, high, (2, PAIRS), generator=generator)
    others = torch.where(torch.rand(PAIRS, generator=generator) < SAME_LENGTH, lengths, others)

    def draw(lengths: Int[Tensor, " batch"]) -> Int[Tensor, "batch pos"]:
        tokens = SAMPLERS[task.sampler](len(task.model.vocab), lengths, task.model.max_len, generator)
        return task.frame(tokens, lengths)

    return Pairs(draw(lengths), draw(others))


def _check_answers(model: CausalModel, run: Run, pairs: Pairs) -> None:
    """The answer is categorical, of few classes, balanced, defined, and depends on the tokens."""
    fewest, most = CLASSES
    if model.classes is None or not fewest <= len(model.classes) <= most:
        raise Rejected(f"the answer has not {fewest} to {most} classes")
    is_token = pairs.base < len(model.vocab)
    if (is_token & ~run.scored).sum() > UNDEFINED * is_token.sum():
        raise Rejected("the answer is too often undefined")
    counts = torch.bincount(run.output[run.scored], minlength=2)
    if counts.max() > LARGEST_CLASS * counts.sum():
        raise Rejected("one class is too frequent")
    same_length = (pairs.source < len(model.vocab)).sum(1) == is_token.sum(1)
    other = model.run(Inputs(pairs.source))
    changed = (differs(run.output, other.output) & run.scored & other.scored).any(1)
    if changed[same_length].float().mean() < VARIABLE_EFFECT:
        raise Rejected("the answer hardly depends on the tokens")


def _check_different(model: CausalModel, run: Run, tokens: Int[Tensor, "batch pos"]) -> None:
    """No two variables tell the same inputs apart, a selector width and its attention half aside."""
    is_token = tokens < len(model.vocab)
    classes = {name: _numbered(run.values[name], is_token) for name in model.variables}
    names = list(classes)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            if not _decodes(model, first, second) and _same_partition(classes[first], classes[second]):
                raise Rejected("two variables compute the same function", f"{first}, {second}")


def _decodes(model: CausalModel, first: str, second: str) -> bool:
    """Tells whether they are the attention half of a selector width and the MLP that reads it."""
    share, width = model.variables[first].mechanism, model.variables[second].mechanism
    return isinstance(share, SelectionShare) and isinstance(width, Nearest) and width.input == first


def _numbered(values: Values, where: Bool[Tensor, "batch pos"]) -> Int[Tensor, " cells"]:
    """The numbers of the classes that values fall into, undefined ones in a class of their own."""
    rounded = values.round(decimals=5) if values.is_floating_point() else values
    return torch.where(undefined(values), -1, rounded)[where].unique(return_inverse=True)[1]


def _same_partition(first: Int[Tensor, " cells"], second: Int[Tensor, " cells"]) -> bool:
    together = first * (int(second.max()) + 1) + second
    return len(together.unique()) == len(first.unique()) == len(second.unique())


def _labels(task: Task, model: CausalModel, pairs: Pairs) -> Labels:
    """Derives the circuit in the smallest transformer; every variable and edge is an interchange of its own."""
    one_each = one_head_each(model)
    needed = heads_needed(model, one_each)
    if needed > HEADS:
        raise Rejected(f"a layer needs more than {HEADS} heads")
    excluded = inert_parts(model, pairs, torch.Generator().manual_seed(0))
    idle = [name for name in model.variables if name in excluded]
    if idle:
        raise Rejected("a variable does not matter", f"{idle[0]}, {excluded[idle[0]]}")
    config = ModelConfig(
        n_layers=max(program_layers(model).values()) + 1,
        n_heads=max(1, needed),
        d_model=1,
        d_head=1,
        d_mlp=1,
        n_ctx=task.n_ctx,
        d_vocab=task.d_vocab,
        d_vocab_out=task.d_vocab_out,
    )
    settings = AlignmentConfig(one_each.heads, one_each.mlps)
    labels = derive_labels(model, config, draw_alignment(model, config, settings, seed=0), excluded)
    units = {name: (name,) for unit in labels.units.values() for name in unit}
    edges = {str(edge): (edge,) for group in labels.edges.values() for edge in group}
    return Labels(labels.circuit, units, edges)


def _check_tier(circuit: Circuit, wanted: str) -> None:
    found, nodes = tier(circuit), len(hidden_nodes(circuit))
    if found != wanted:
        raise Rejected(f"it is {found}")
    fewest, most = NODES[wanted]
    if not fewest <= nodes <= most:
        raise Rejected("the circuit is too small or too large", f"{nodes} nodes, accepted are {fewest} to {most}")


def _check_effects(model: CausalModel, labels: Labels, pairs: Pairs) -> None:
    """Checks that the interchange of every variable alone, and every edge alone, changes the answer often enough."""
    interchanges = Interchanges(model, labels)
    answers = Answers(model.answer.kind, None if model.classes is not None else ROUNDING)
    shares = interchanges.shares(pairs, answers, torch.Generator().manual_seed(0))
    for (name, share), constant in zip(shares.items(), interchanges.constant, strict=True):
        if name in labels.units and share.changes < VARIABLE_EFFECT:
            raise Rejected("a variable does not matter", name)
        if not constant and share.changes < EDGE_EFFECT:
            raise Rejected("an edge does not matter", name)
