"""Interchange interventions: the labels that an alignment gives, what can be interchanged, and the evidence.

Geiger et al., "Inducing Causal Structure for Interpretable Neural Networks" (arXiv 2112.00826), section 3.
"""

from siit.interchange.alignment import AlignmentConfig, Labels, derive_labels, draw_alignment
from siit.interchange.evidence import build_evidence, evidence_pairs
from siit.interchange.interventions import Interchanges, inert_parts
from siit.interchange.pairs import Pairs, PairSampler, permuted_positions

__all__ = [
    "AlignmentConfig",
    "Interchanges",
    "Labels",
    "PairSampler",
    "Pairs",
    "build_evidence",
    "derive_labels",
    "draw_alignment",
    "evidence_pairs",
    "inert_parts",
    "permuted_positions",
]
