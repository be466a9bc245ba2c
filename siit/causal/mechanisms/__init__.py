"""Mechanisms: pure functions from the parents' values to a variable's own; each checks and reads itself."""

from siit.causal.mechanisms.base import (
    INDICES,
    OUTPUT,
    TOKENS,
    UNDEFINED,
    Class,
    Context,
    Kind,
    Mechanism,
    Read,
    Scalar,
    Values,
    ValueSet,
    check_mechanism,
    kind_of,
    mechanism_from_json,
    undefined,
)
from siit.causal.mechanisms.lookups import AMBIGUOUS, LeastInhibited, Lookup
from siit.causal.mechanisms.selections import NOT_SELECTED, SELECTED, UNDECIDED, Aggregate, Selection, SelectionShare
from siit.causal.mechanisms.tables import Linear, Nearest, Table

__all__ = [
    "AMBIGUOUS",
    "INDICES",
    "NOT_SELECTED",
    "OUTPUT",
    "SELECTED",
    "TOKENS",
    "UNDECIDED",
    "UNDEFINED",
    "Aggregate",
    "Class",
    "Context",
    "Kind",
    "LeastInhibited",
    "Linear",
    "Lookup",
    "Mechanism",
    "Nearest",
    "Read",
    "Scalar",
    "Selection",
    "SelectionShare",
    "Table",
    "ValueSet",
    "Values",
    "check_mechanism",
    "kind_of",
    "mechanism_from_json",
    "undefined",
]
