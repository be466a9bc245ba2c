"""Lists the interchanges of one circuit, runs the causal model under them, and finds what none can verify."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit._constants import constant
from siit.causal import INDICES, OUTPUT, TOKENS, CausalModel, HighLevelEdge, Inputs, Intervention, Interventions, Run
from siit.causal.mechanisms import Values, undefined
from siit.certificate import Answers
from siit.interchange.alignment import Labels
from siit.interchange.pairs import Pairs, permuted_positions

NONE = 0
"""The choice of no interchange; interchange number i of the list is choice i + 1."""
ROUNDING = 1e-5
"""Numerical values closer than this are the same."""

Permute = Callable[[Pairs, torch.Generator], Int[Tensor, "batch pos"]]


@dataclass(frozen=True)
class Shares:
    """How often an interchange can teach something.

    Attributes:
        differs: share of pairs in which a unit's values differ at some position; None for high-level edges.
        changes: share of pairs in which the causal model's answer changes at some scored position.
        constant: whether it is the same in every input, and so can change nothing.
    """

    differs: float | None
    changes: float
    constant: bool = False


@dataclass(frozen=True, eq=False)
class Interchanges:
    """All interchanges of one circuit: its units, then its carried high-level edges.

    Args:
        model: the causal model, on the device of the pairs.
        labels: the circuit with what its names stand for.
        permute: permutes the position ids of sources, for interchanges of what depends on positions only. None: any
            permutation of the tokens' ids.
    """

    model: CausalModel
    labels: Labels
    permute: Permute | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of units, then of high-level edges; choice i + 1 is the interchange `names[i]`, choice 0 is none."""
        return (*self.labels.units, *self.labels.edges)

    @property
    def n_units(self) -> int:
        """How many of `names` are units."""
        return len(self.labels.units)

    @cached_property
    def position_only(self) -> tuple[bool, ...]:
        """Per interchange, whether it depends on positions only, so that its source's positions are permuted."""
        fixed = self.model.position_only_without(self.labels.circuit.excluded)
        units = (all(name in fixed for name in unit) for unit in self.labels.units.values())
        edges = (all(edge.parent in fixed for edge in group) for group in self.labels.edges.values())
        return (*units, *edges)

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Per interchange, the variable of which the source is to bring rare values.

        That is the last member of a unit, or an edge's parent; where the parent is an input, the edge's child.
        """
        units = (members[-1] for members in self.labels.units.values())
        first = (group[0] for group in self.labels.edges.values())
        return (*units, *(edge.child if edge.parent in (TOKENS, INDICES) else edge.parent for edge in first))

    @cached_property
    def constant(self) -> tuple[bool, ...]:
        """Per interchange, whether what it interchanges is the same in every input."""
        edges = (all(self.model.constant(edge) for edge in group) for group in self.labels.edges.values())
        return (*[False] * self.n_units, *edges)

    def source_positions(
        self, pairs: Pairs, choice: Int[Tensor, " batch"], generator: torch.Generator
    ) -> Int[Tensor, "batch pos"]:
        """Makes the position ids of the source run: permuted where the interchange depends on positions only.

        Args:
            pairs: of a batch.
            choice: each pair's interchange.
            generator: of the permutations, on the pairs' device.
        """
        source = pairs.source
        own = torch.arange(source.shape[-1], device=source.device).expand_as(source)
        if self.permute is None:
            permuted = permuted_positions(source, len(self.model.vocab), generator)
        else:
            permuted = self.permute(pairs, generator)
        moved = constant((False, *self.position_only), torch.bool, source.device)[choice]
        return torch.where(moved.unsqueeze(1), permuted, own)

    def answers(
        self,
        pairs: Pairs,
        choice: Int[Tensor, " batch"],
        source_positions: Int[Tensor, "batch pos"] | None = None,
        attention: Collection[str] = (),
    ) -> Run:
        """Runs the causal model on the bases, each under its own interchange with its source.

        Args:
            pairs: of a batch.
            choice: each pair's interchange.
            source_positions: position ids of the source run; None: each slot's own.
            attention: variables whose heads' patterns are asked for.

        Returns:
            The run; nothing is scored where an interchange was chosen for a pair that is not interchangeable.
        """
        source = self.model.run(Inputs(pairs.source, source_positions))
        run = self.model.run(Inputs(pairs.base), self._interventions(source, choice), attention)
        if pairs.interchangeable is None:
            return run
        return replace(run, scored=run.scored & (pairs.interchangeable | (choice == NONE)).unsqueeze(1))

    def shares(self, pairs: Pairs, answers: Answers, generator: torch.Generator) -> dict[str, Shares]:
        """Measures how often each interchange changes something.

        Args:
            pairs: on which it is measured.
            generator: of permuted positions.
            answers: tells when two answers differ.
        """
        base, found = self.model.run(Inputs(pairs.base)), {}
        for index, name in enumerate(self.names):
            choice = torch.full((len(pairs),), index + 1, device=pairs.base.device)
            run = self.answers(pairs, choice, self.source_positions(pairs, choice, generator))
            moved = differs(run.output, base.output, ROUNDING if answers.tolerance is None else answers.tolerance)
            changes = (moved & run.scored & base.scored).any(1).double().mean().item()
            members = [differs(run.values[member], base.values[member]) for member in self.labels.units.get(name, ())]
            unequal = torch.stack(members).any(0).any(1).double().mean().item() if members else None
            found[name] = Shares(unequal, changes, self.constant[index])
        return found

    def _interventions(self, source: Run, choice: Int[Tensor, " batch"]) -> Interventions:
        chosen = choice.unsqueeze(0) == torch.arange(1, len(self.names) + 1, device=choice.device).unsqueeze(1)
        masks: dict[str, Bool[Tensor, " batch"]] = dict(zip(self.names, chosen, strict=True))
        variables: dict[str, Intervention] = {}
        for unit, members in self.labels.units.items():
            for name in members:
                variables[name] = Intervention(source.values[name], masks[unit])
        edges: dict[HighLevelEdge, Intervention] = {}
        for label, group in self.labels.edges.items():
            for edge in group:
                edges[edge] = Intervention(source.values[edge.parent], masks[label])
        return Interventions(variables, edges)


def inert_parts(model: CausalModel, pairs: Pairs, generator: torch.Generator) -> Mapping[str, str]:
    """Finds inert parts: variables that never change on the data, and edges that never change their child's value.

    No interchange can verify them, so that they are no part of the circuit; nor is what then no longer reaches the
    output. Constant edges (which slot is BOS) stay: zero ablation shows that they matter.

    Args:
        model: the causal model.
        pairs: the data; each edge of the model is interchanged alone in all of them.
        generator: of permuted positions, for variables that depend, inert parts aside, on positions only.

    Returns:
        Names of variables and edges, with the reason.

    Raises:
        ValueError: the output itself never changes.
    """
    base = model.run(Inputs(pairs.base))
    plain = model.run(Inputs(pairs.source))
    permuted = model.run(Inputs(pairs.source, permuted_positions(pairs.source, len(model.vocab), generator)))
    is_token = pairs.base < len(model.vocab)
    variables: dict[str, str] = {}
    edges: dict[str, str] = {}

    def source(name: str) -> Values:
        by_position = model.position_only_without({**variables, **edges})
        return (permuted if name in by_position else plain).values[name]

    def changes(values: Values, own: Values) -> bool:
        return bool((differs(values, own) & is_token).any())

    for child in (*model.variables, OUTPUT):
        for edge in model.edges:
            if edge.child != child or edge.parent in variables or model.constant(edge):
                continue
            run = model.run(Inputs(pairs.base), Interventions(edges={edge: Intervention(source(edge.parent))}))
            own, values = base.values[child], run.values[child]
            # That a lookup finds nothing is an answer of its own; other variables are undefined at padding too.
            finds = child != OUTPUT and model.variables[child].mechanism.can_find_nothing
            emptied = undefined(values) != undefined(own)
            if not (changes(values, own) or (finds and bool((emptied & is_token).any()))):
                edges[str(edge)] = f"its interchange changed {child} in none of {len(pairs)} pairs"
        if child != OUTPUT and not changes(source(child), base.values[child]):
            variables[child] = f"its value is the same in all of {len(pairs)} pairs"
    if model.answer.name in variables:
        raise ValueError(f"the output, {model.answer.name}, is the same in all of {len(pairs)} pairs")
    reaching = {OUTPUT}
    for edge in reversed(model.edges):
        if edge.child in reaching and edge.child not in variables and str(edge) not in edges:
            reaching.add(edge.parent)
    for name in model.variables:
        if name not in reaching:
            variables.setdefault(name, "nothing that it changes reaches the output")
    ends = {str(edge): (edge.parent, edge.child) for edge in model.edges}
    kept = {name: reason for name, reason in edges.items() if not variables.keys() & set(ends[name])}
    return {**variables, **kept}


def differs(values: Values, others: Values, tolerance: float = ROUNDING) -> Bool[Tensor, "batch pos"]:
    """Tells where two values are both defined and differ.

    Args:
        values: of one run.
        others: of another.
        tolerance: numerical values this close are the same.
    """
    defined = ~undefined(values) & ~undefined(others)
    if values.is_floating_point():
        return defined & ((values - others).abs() > tolerance)
    return defined & (values != others)
