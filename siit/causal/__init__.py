"""High-level causal models: exact, batched, intervenable (Geiger et al., arXiv 2112.00826, section 3)."""

from siit.causal.lookups import LeastInhibited, Lookup
from siit.causal.mechanisms import Aggregate, Linear, Mechanism, Nearest, Selection, SelectionShare, Table
from siit.causal.model import (
    INDICES,
    OUTPUT,
    TOKENS,
    CausalModel,
    HighLevelEdge,
    Inputs,
    Intervention,
    Interventions,
    Run,
    Variable,
)

__all__ = [
    "INDICES",
    "OUTPUT",
    "TOKENS",
    "Aggregate",
    "CausalModel",
    "HighLevelEdge",
    "Inputs",
    "Intervention",
    "Interventions",
    "LeastInhibited",
    "Linear",
    "Lookup",
    "Mechanism",
    "Nearest",
    "Run",
    "Selection",
    "SelectionShare",
    "Table",
    "Variable",
]
