"""Says in words which value each node carries, and how the program would compute it.

A certificate shows that a node carries a variable's value, and never how. So the role is derived from the causal model,
and a text that tells where a head looks is kept apart from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from siit.causal import (
    INDICES,
    OUTPUT,
    TOKENS,
    Aggregate,
    CausalModel,
    LeastInhibited,
    Lookup,
    SelectionShare,
    Variable,
)
from siit.causal.mechanisms import SELECTED, UNDECIDED, Nearest, Selection
from siit.graph.architecture import LOGITS, POS_EMBED, TOK_EMBED

_LISTED = 3
"""So many values of a key are named; of more, their number is told."""
_RELATIONS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("equals", lambda key, query: key == query),
    ("differs from", lambda key, query: key != query),
    ("is less than", lambda key, query: key < query),
    ("is at most", lambda key, query: key <= query),
    ("is greater than", lambda key, query: key > query),
    ("is at least", lambda key, query: key >= query),
)


def roles(model: CausalModel, alignment: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Says of each node on the circuit which value it carries: what interchange interventions measure.

    Args:
        model: the causal model.
        alignment: hidden variable on the circuit -> its nodes.

    Returns:
        Node -> "carries `variable`: its value in words"; of several variables, one after the other.
    """
    found = {
        TOK_EMBED: f"carries `{TOKENS}`: the token at each position",
        POS_EMBED: f"carries `{INDICES}`: the index of each position",
        LOGITS: f"carries `{OUTPUT}`: the answer, `{model.answer.name}`",
    }
    for name, nodes in alignment.items():
        how = "" if len(nodes) == 1 else f" as one of {len(nodes)} nodes"
        for node in nodes:
            text = f"carries{how} `{name}`: {value_in_words(model, name)}"
            found[node] = f"{found[node]}; {text}" if node in found else text
    return found


def programs(model: CausalModel, alignment: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Says how the program computes what is fetched or counted, which nothing measures.

    Args:
        model: the causal model; of attention variables, the descriptions are the program's own words.
        alignment: hidden variable on the circuit -> its nodes.

    Returns:
        Node of an attention variable -> how the program computes it. Pointwise variables have their value only.
    """
    found: dict[str, str] = {}
    for name, nodes in alignment.items():
        variable = model.variables[name]
        if variable.is_attention:
            text = variable.description or f"fetches {value_in_words(model, name)}"
            for node in nodes:
                found[node] = f"{found[node]}; {text}" if node in found else text
    return found


def value_in_words(model: CausalModel, name: str) -> str:
    """Describes a hidden variable's value: by its mechanism where it needs attention, else by its own description.

    Args:
        model: the causal model.
        name: a hidden variable of it.
    """
    variable = model.variables[name]
    mechanism = variable.mechanism
    if isinstance(mechanism, SelectionShare):
        count = _counted(model, name)
        if count is None:
            return f"1 / (1 + the number of {_positions(model, mechanism.selection)})"
        meaning = f", `{count.name}`: {count.description}" if count.description else ""
        return f"1 / (1 + `{count.name}`){meaning}"
    if isinstance(mechanism, Aggregate):
        where = _positions(model, mechanism.selection)
        if variable.categorical:
            return f"`{mechanism.value}` at {where}"
        default = "" if mechanism.default is None else f", {mechanism.default:g} where there are none"
        return f"the mean of `{mechanism.value}` over {where}{default}"
    if isinstance(mechanism, Lookup):
        return _looked_up(model, mechanism)
    if isinstance(mechanism, LeastInhibited):
        signals = f"`{mechanism.name_query}` and `{mechanism.place_query}`"
        return f"`{mechanism.value}` at the position up to its own that {signals} inhibit least"
    if variable.description:
        return variable.description
    parents = dict.fromkeys(parent for group in mechanism.parents.values() for parent in group)
    return f"a function of {' and '.join(f'`{parent}`' for parent in parents)}"


def _counted(model: CausalModel, share: str) -> Variable | None:
    """The number that a share is made of: the variable that reads n off 1 / (1 + n), for each n."""
    for variable in model.variables.values():
        mechanism = variable.mechanism
        if isinstance(mechanism, Nearest) and mechanism.input == share:
            numbers = _numbers(variable, mechanism)
            if numbers is not None and torch.allclose(mechanism.points, 1 / (1 + numbers)):
                return variable
    return None


def _numbers(variable: Variable, mechanism: Nearest) -> Tensor | None:
    """A table's entries as numbers; None where one is undefined or no number."""
    if variable.values is None:
        return None if bool(mechanism.table.isnan().any()) else mechanism.table
    values = [variable.values[entry] if entry >= 0 else None for entry in mechanism.table.tolist()]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return torch.tensor(numbers, dtype=torch.float32) if len(numbers) == len(values) else None


def _looked_up(model: CausalModel, mechanism: Lookup) -> str:
    size = len(_values(model, mechanism.key))
    parts = []
    if len(mechanism.members) < size:
        parts.append(f"is one of {len(mechanism.members)}")
    if mechanism.query is not None:
        parts.append(f"{'equals' if mechanism.relation == 'same' else 'differs from'} its own `{mechanism.query}`")
    if mechanism.greatest:
        parts.append("is the greatest")
    which = f" whose `{mechanism.key}` {' and '.join(parts)}" if parts else f" that have a `{mechanism.key}`"
    least = f", at least {mechanism.at_least} of them" if mechanism.at_least > 1 else ""
    return f"`{mechanism.value}` at the positions up to its own{which}{least}"


def _positions(model: CausalModel, selection: Selection) -> str:
    """Tells which positions are selected: by a comparison or an offset where the predicate is one."""
    keys, queries = _values(model, selection.key), _values(model, selection.query)
    table = selection.predicate[:-1, :-1]
    decided, selected = table != UNDECIDED, table == SELECTED

    def fits(relation: Callable[[Any, Any], bool]) -> bool:
        try:
            expected = torch.tensor([[bool(relation(key, query)) for key in keys] for query in queries])
        except TypeError:  # values of several types have no order
            return False
        return bool((selected == expected)[decided].all())

    by_place = selection.key == selection.query == INDICES
    reach = " up to its own" if selection.causal else ""
    if fits(lambda key, query: True):
        return f"all positions{reach}"
    if by_place and fits(lambda key, query: key <= query):
        return "all positions up to its own"
    one = selection.key == INDICES and int(selected.sum(1).max()) <= 1
    which = f"the position{'' if one else 's'}{reach} whose `{selection.key}`"
    if bool((table == table[:1]).all()):
        chosen = [key for key, held in zip(keys, selected[0].tolist(), strict=True) if held]
        listed = " or ".join(map(repr, chosen)) if len(chosen) <= _LISTED else f"one of {len(chosen)} values"
        return f"{which} is {listed}"
    own = f"its own `{selection.query}`" if selection.key == selection.query else f"its `{selection.query}`"
    for words, relation in _RELATIONS:
        if fits(relation):
            return f"{which} {words} {own}"
    step = _offset(keys, queries, selected)
    if step:
        words = f"{'plus' if step > 0 else 'minus'} {abs(step):g}"
        if fits(lambda key, query: key == query + step):
            return f"{which} equals {own} {words}"
        if fits(lambda key, query: key == max(query + step, 0)):
            return f"{which} equals {own} {words}, or 0 if that is negative"
    return f"{which} is selected by {own}"


def _offset(keys: Sequence[Any], queries: Sequence[Any], selected: Bool[Tensor, "queries keys"]) -> float | None:
    """How far the last selected key lies from its query; None where they are no numbers, or none is selected."""
    if not bool(selected.any()) or not all(isinstance(value, int | float) for value in (*keys, *queries)):
        return None
    query, key = selected.nonzero()[-1].tolist()
    return float(keys[key] - queries[query])


def _values(model: CausalModel, name: str) -> tuple[Any, ...]:
    """What a categorical variable's or input's ids stand for."""
    if name == TOKENS:
        return model.vocab
    if name == INDICES:
        return tuple(range(model.max_len))
    return model.variables[name].values or ()
