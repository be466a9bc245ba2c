"""Finds how many heads an attention variable needs, and whether the MLP of its layer too, from what it computes.

The rule reads mechanisms and numbers of values, never names. One head is enough to copy or to average what few values
select. What one head was seen to do badly has more (`docs/notes/recipes.md`, `docs/notes/ioi.md`):

- Counting. How much attention a head leaves on BOS tells. One head told 7 from 8 less well where all else is replaced
  by zero. Two do, whatever selects what is counted.
- Looking up among many words. Selecting a word, and saying which it is, takes more directions than a head has.
- Avoiding a word. Whatever is not that word must be selected alike.
- Finding nothing, or too little, where no query says what to look for. How much attention is left on BOS tells. The MLP
  reads it before the next layer does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from siit.causal import Aggregate, CausalModel, LeastInhibited, Lookup, SelectionShare, Variable

COUNTING, LOOKING_UP, AVOIDING = 2, 2, 3
"""Heads of a variable that counts, that looks words up, and that avoids one."""
MANY_VALUES = 64
"""More values than this are many: as many as the default model's stream has dimensions."""


@dataclass(frozen=True)
class Capacity:
    """What each attention variable gets of its layer.

    Attributes:
        heads: attention variable -> how many heads; all of them are named.
        mlps: those that get the MLP too, each for itself.
    """

    heads: Mapping[str, int]
    mlps: frozenset[str] = frozenset()


def needed_capacity(model: CausalModel) -> Capacity:
    """Applies the rule to a causal model."""
    attention = _attention(model)
    return Capacity(
        {name: _heads(variable) for name, variable in attention.items()},
        frozenset(name for name, variable in attention.items() if _needs_mlp(variable)),
    )


def one_head_each(model: CausalModel) -> Capacity:
    """Gives each attention variable one head and nothing else: the least that can be placed."""
    return Capacity(dict.fromkeys(_attention(model), 1))


def _attention(model: CausalModel) -> dict[str, Variable]:
    return {name: variable for name, variable in model.variables.items() if variable.is_attention}


def _heads(variable: Variable) -> int:
    match variable.mechanism:
        case SelectionShare():
            return COUNTING
        case LeastInhibited() | Lookup(relation="other"):
            return AVOIDING
        case Lookup():
            return LOOKING_UP
        case Aggregate() if len(variable.values or ()) > MANY_VALUES:
            return LOOKING_UP
        case _:
            return 1


def _needs_mlp(variable: Variable) -> bool:
    match variable.mechanism:
        case Lookup(query=None):
            return True
        case Lookup(at_least=fewest):
            return fewest > 1
        case _:
            return False
