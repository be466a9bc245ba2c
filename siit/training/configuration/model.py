"""The settings of the transformer: its shape and its initial weights."""

from __future__ import annotations

from dataclasses import dataclass

from siit.training.configuration.errors import require

DEFAULT_HEADS = 4
"""Heads in each layer, where no number is set and the program needs no more."""


@dataclass
class ModelSettings:
    """Holds a transformer's shape; the defaults are GPT-2-style: pre-LayerNorm, GELU, learned positions."""

    n_layers: int | None = None
    """Number of layers; null: as many as the program needs plus extra_layers, at least 2."""
    extra_layers: int = 1
    """Layers beyond those that the program needs, where n_layers is null."""
    n_heads: int | None = None
    """Heads in each layer; null: 4, or as many as the program's variables need in one layer if that is more."""
    d_model: int = 64
    """Width of the residual stream."""
    d_head: int | None = None
    """Width of a head; null: d_model / n_heads, or d_model / 4 where n_heads is null."""
    d_mlp: int | None = None
    """Hidden units of an MLP; null: 4 d_model."""
    act_fn: str = "gelu"
    """Activation function of the MLPs: gelu, gelu_new, relu or silu."""
    normalization_type: str | None = "LN"
    """LN for LayerNorm before every attention, MLP and the unembedding, or null for none."""
    eps: float = 1e-5
    """What LayerNorm adds to the variance."""
    embedding_std: float = 1.0
    """Standard deviation of the initial token embeddings."""
    position_std: float = 0.3
    """Standard deviation of the initial position embeddings. It is smaller than that of tokens: where positions are off
    the circuit, leaving them out must hardly change what LayerNorm divides by."""
    spread_embeddings: bool = False
    """Whether initial token embeddings are turned away from each other, so that no two tokens begin nearly alike."""

    def check(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigError: a size that is not above 0.
        """
        for name in ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "embedding_std", "position_std"):
            value = getattr(self, name)
            require(f"model.{name}", value, value is None or value > 0, "a number above 0")
        require("model.extra_layers", self.extra_layers, self.extra_layers >= 0, "0 or more")
