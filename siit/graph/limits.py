"""Limits of what a model may be, checked before anything is allocated for it; a stranger's files are held to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

MAX_POSITIONS = 4096
MAX_LAYERS = 64
MAX_HEADS = 256
"""Per layer."""
MAX_COMPONENTS = 1024
"""Heads and MLPs of all layers."""
MAX_VOCAB = 1 << 17
"""Input tokens, and output classes."""
MAX_WIDTH = 1 << 16
"""Of the residual stream, a head or an MLP."""
MAX_PARAMETERS = 1 << 28
"""Of all weights; 1 GiB in float32."""
MAX_VARIABLES = 1024
"""Of a causal model."""
MAX_TABLE_ENTRIES = 1 << 24
"""Of one table or predicate of a causal model."""
SIZES: Mapping[str, int] = {
    "n_layers": MAX_LAYERS,
    "n_heads": MAX_HEADS,
    "d_model": MAX_WIDTH,
    "d_head": MAX_WIDTH,
    "d_mlp": MAX_WIDTH,
    "n_ctx": MAX_POSITIONS,
    "d_vocab": MAX_VOCAB,
    "d_vocab_out": MAX_VOCAB,
}
"""Field of an architecture -> its limit."""


def check_sums(layers: int, heads: int, shapes: Iterable[Sequence[int]]) -> None:
    """Checks what an architecture comes to in all, each of its sizes being within its own limit.

    Args:
        layers: how many there are.
        heads: per layer.
        shapes: of all parameters.

    Raises:
        ValueError: names what there is too much of, how much was found and how much is accepted.
    """
    components = layers * (heads + 1)
    if components > MAX_COMPONENTS:
        raise ValueError(f"n_layers, n_heads: found {components} heads and MLPs, accepted are at most {MAX_COMPONENTS}")
    parameters = sum(map(math.prod, shapes))
    if parameters > MAX_PARAMETERS:
        raise ValueError(f"parameters: found {parameters:,} in all, accepted are at most {MAX_PARAMETERS:,}")
