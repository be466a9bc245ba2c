"""What scoring takes of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from siit.graph.circuit import Circuit


@runtime_checkable
class Labelled(Protocol):
    """A model with its circuit and its certificate: what `siit.load`, `load_circuit` and `read_bundle` give."""

    @property
    def circuit(self) -> Circuit:
        """The labels."""

    @property
    def certificate(self) -> Mapping[str, Any]:
        """What was measured of them, the content of `certificate.json`."""
