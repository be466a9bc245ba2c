"""What the card says of one model in one line: its size and what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from siit.bundle._types import Bundle
from siit.certificate import Certificate
from siit.graph.tiers import tier


@dataclass(frozen=True)
class Summary:
    """One model in a table.

    Attributes:
        tier: how much of a circuit there is to find, see `siit.graph.tiers`.
        output: `categorical` or `numerical`.
        layers: of the model, not of the program.
        circuit_nodes: heads and MLPs of the circuit.
        circuit_edges: edges of the circuit, those from the embeddings included.
        certificate: what was measured.
    """

    case: str
    seed: int
    tier: str
    output: str
    layers: int
    circuit_nodes: int
    circuit_edges: int
    certificate: Certificate

    @property
    def path(self) -> str:
        """The model's folder below the bundle's root."""
        return f"{self.case}/seed-{self.seed}"


def summarize(bundle: Bundle) -> Summary:
    """Makes the line of a bundle that has been read; neither weights nor evidence are needed."""
    circuit = bundle.circuit
    return Summary(
        case=bundle.case,
        seed=bundle.seed,
        tier=tier(circuit),
        output=bundle.answers.output,
        layers=circuit.config.n_layers,
        circuit_nodes=len(circuit.unit_of),
        circuit_edges=len(circuit.carries),
        certificate=Certificate.from_json(bundle.certificate),
    )
