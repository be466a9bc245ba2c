"""What a verification found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from siit.certificate import Certificate

Check = Literal[
    "vocabulary", "provenance", "labels", "answers", "inputs", "tolerance", "certificate", "evidence", "fresh"
]
"""The checks of a verification, in their order."""


@dataclass(frozen=True)
class Finding:
    """One claim of a bundle that does not hold.

    Attributes:
        check: which check found it.
        message: names the file or field, what was found and what is accepted.
    """

    check: Check
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"


@dataclass(frozen=True, eq=False)
class Verification:
    """The outcome of a verification.

    Attributes:
        findings: every claim that does not hold; empty where all do.
        provenance: whose program it is: of the catalogue, drawn by the generator, or an own one.
        seed: of the pairs that the verifier drew.
        stored: what was measured on the bundle's own evidence; None where its claims are too wrong to measure it.
        fresh: what was measured on the verifier's pairs; None likewise.
        other_inputs: whether it declares other inputs than those known of its program, on which alone all of it holds.
    """

    findings: tuple[Finding, ...]
    provenance: str
    seed: int
    stored: Certificate | None
    fresh: Certificate | None
    other_inputs: bool = False

    @property
    def certified(self) -> bool:
        """Whether every claim holds, and every bar on the evidence and on the verifier's pairs."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """Makes plain data of it."""
        parts: Mapping[str, Certificate | None] = {"stored": self.stored, "fresh": self.fresh}
        return {
            "certified": self.certified,
            "provenance": self.provenance,
            "other_inputs": self.other_inputs,
            "seed": self.seed,
            "findings": [{"check": finding.check, "message": finding.message} for finding in self.findings],
            **{name: None if part is None else part.to_json() for name, part in parts.items()},
        }
