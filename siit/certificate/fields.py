"""Names the certificate's fields, the bars that each must reach, and the counts that each must rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

CERTIFICATE_FORMAT = "siit-certificate/2"
FIRST_KIND_FORMAT = "siit-certificate/1"
"""Of certificates that earlier versions wrote."""
FORMATS = (CERTIFICATE_FORMAT, FIRST_KIND_FORMAT)
FIRST_KIND = "of the first kind (edges between members only, subsets resampled)"
"""What such a certificate is, in words, wherever its verdict stands."""
BAR = 0.999
LOGIT_BAR = 1e-3
"""Of a node that shares its unit with others: its effect is a mean absolute change of logits, and must exceed this."""
SHARES = (
    "accuracy",
    "iia",
    "edge_iia",
    "strict_node",
    "strict_edge",
    "strict_joint",
    "strict_subsets",
    "strict_adversarial",
    "joint_mean",
    "joint_zero",
)
"""Fields that are a share of scored positions, the minimum over their components."""
FIELDS = (*SHARES, "effect")
SECOND_KIND_ONLY = ("strict_adversarial",)
"""Fields that certificates of the first kind do not have."""
Kind = Literal["resample", "mean", "zero"]
KINDS: tuple[Kind, ...] = ("resample", "mean", "zero")
"""Kinds of replacement: by the source's, by the mean over all source rows, by zero."""
BY_KIND = ("strict_node", "strict_edge", "strict_subsets")
"""Fields whose components are measured under each kind of replacement; the least counts."""
BARS: Mapping[str, float] = {**dict.fromkeys(SHARES, BAR), "effect": 0.0, "effect_logits": LOGIT_BAR}
MIN_SCORED = 4096
"""Scored positions that every number must rest on, unless the evidence is all there is."""
MIN_CHANGED = 200
"""Pairs in which an interchange must change the causal model's answer, unless it never does."""
