"""Verification: whether a bundle's claims hold, believing nothing that it says.

A certificate measures a model against the bundle's own evidence. Here evidence and labels are derived again from the
causal model. The model is measured on pairs that the verifier draws.
"""

from siit.verification.findings import Finding, Verification
from siit.verification.verify import verify

__all__ = ["Finding", "Verification", "verify"]
