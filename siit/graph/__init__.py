"""The graph of a model: its components and edges, the circuit among them, and how much of a circuit it is."""

from siit.graph.architecture import Edge, ModelConfig
from siit.graph.circuit import Circuit
from siit.graph.tiers import TIERS, tier

__all__ = ["TIERS", "Circuit", "Edge", "ModelConfig", "tier"]
