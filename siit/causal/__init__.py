"""High-level causal models: exact, batched, intervenable (Geiger et al., arXiv 2112.00826, section 3)."""

from siit.causal.mechanisms import (
    INDICES,
    OUTPUT,
    TOKENS,
    Aggregate,
    Class,
    Context,
    LeastInhibited,
    Linear,
    Lookup,
    Mechanism,
    Nearest,
    Scalar,
    Selection,
    SelectionShare,
    Table,
)
from siit.causal.model import CausalModel
from siit.causal.runs import Inputs, Intervention, Interventions, Run
from siit.causal.variables import HighLevelEdge, Variable

__all__ = [
    "INDICES",
    "OUTPUT",
    "TOKENS",
    "Aggregate",
    "CausalModel",
    "Class",
    "Context",
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
    "Scalar",
    "Selection",
    "SelectionShare",
    "Table",
    "Variable",
]
