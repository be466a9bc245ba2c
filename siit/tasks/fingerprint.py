"""Fingerprints: short digests by which one task is told from another of the same name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

INPUTS = "inputs"
"""The key of `causal_model.json` under which a bundle declares its input space."""


def causal_fingerprint(causal_model: Mapping[str, Any]) -> str:
    """Digests a causal model as `causal_model.json` has it; its input space and its words change no answer."""
    plain = {key: value for key, value in causal_model.items() if key != INPUTS}
    variables = [{key: v for key, v in item.items() if key != "description"} for item in plain["variables"]]
    return short_digest({**plain, "variables": variables})


def short_digest(data: Any) -> str:
    """Makes 16 hexadecimal digits that stand for plain data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
