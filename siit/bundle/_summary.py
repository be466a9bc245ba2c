"""What the card says of one model in one line: its size and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siit.bundle import _json
from siit.bundle._codec import CERTIFICATE_FILE, CIRCUIT_FILE, CONFIG_FILE
from siit.bundle._folder import read_file
from siit.bundle._types import Bundle
from siit.certificate import Certificate
from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit
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
    """Makes the line of a bundle that has been read."""
    return _summary(bundle.case, bundle.seed, bundle.answers.output, bundle.circuit, bundle.certificate)


def read_summary(folder: Path) -> Summary:
    """Reads the line of a model's folder, from its small files alone, which are not held against its manifest.

    Raises:
        ValueError, KeyError, TypeError: a file is missing or damaged.
    """
    config, circuit, certificate = (_read(folder, name) for name in (CONFIG_FILE, CIRCUIT_FILE, CERTIFICATE_FILE))
    labels = Circuit.from_json(circuit, ModelConfig.from_json(config))
    return _summary(config["case"], config["seed"], config["output"], labels, certificate)


def _summary(case: str, seed: int, output: str, circuit: Circuit, certificate: Mapping[str, Any]) -> Summary:
    return Summary(
        case=case,
        seed=seed,
        tier=tier(circuit),
        output=output,
        layers=circuit.config.n_layers,
        circuit_nodes=len(circuit.unit_of),
        circuit_edges=len(circuit.carries),
        certificate=Certificate.from_json(certificate),
    )


def _read(folder: Path, name: str) -> dict[str, Any]:
    return _json.parse(read_file(folder / name, folder, _json.JSON_LIMIT), name)
