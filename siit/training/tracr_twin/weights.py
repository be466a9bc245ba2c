"""Tracr's parameters under the names of HookedTransformer: the same outputs at every token.

Two things that our models do not have are put into weights that they have:

- Tracr embeds a constant, `one`, for biases; here it is the biases themselves, so that reading it is no edge.
- Tracr masks padding; here a bidirectional head's keys read the direction of PAD, by one number of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import haiku as hk
import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tracr.compiler import assemble, compiling
from tracr.rasp import rasp
from tracr.transformer.encoder import CategoricalEncoder

from siit.causal import CausalModel
from siit.graph.architecture import ModelConfig
from siit.training.rasp.compiled import WRITTEN

ONE = "one"
"""Tracr's name for the direction in which every token's embedding is 1."""
MASKED = 1e4
"""By how much a score of PAD is less than others: its attention is exactly 0."""


@dataclass(frozen=True, eq=False)
class TwinWeights:
    """A compiled model in our form.

    Attributes:
        config: the architecture.
        parameters: the weights, by their HookedTransformer names.
        directions: what Tracr calls each direction of the residual stream, `<label>:<value>` or `<label>`.
    """

    config: ModelConfig
    parameters: dict[str, Float[Tensor, "..."]]
    directions: tuple[str, ...]


def twin_weights(compiled: assemble.AssembledTransformerModel, model: CausalModel, causal: bool) -> TwinWeights:
    """Converts a compiled model.

    Args:
        compiled: the model.
        model: the program's causal model: the order of tokens and classes.
        causal: whether attention is causal. If so, no token sees padding, and nothing masks it.
    """
    found = compiled.model_config
    directions = tuple(compiled.residual_labels)
    embeddings = _embeddings(compiled, model)
    unembedding = _unembedding(compiled, model)
    config = ModelConfig(
        n_layers=found.num_layers,
        n_heads=found.num_heads,
        d_model=len(directions),
        d_head=found.key_size + (not causal),
        d_mlp=found.mlp_hidden_size,
        n_ctx=model.max_len + 1,
        d_vocab=len(model.vocab) + 2,
        d_vocab_out=len(unembedding["unembed.b_U"]),
        act_fn="relu",
        attention_dir="causal" if causal else "bidirectional",
        normalization_type=None,
    )
    parameters = {name: torch.zeros(shape) for name, shape in config.parameter_shapes().items()}
    parameters |= embeddings | unembedding
    constant = directions.index(ONE) if ONE in directions else None
    pad = directions.index(f"{rasp.tokens.label}:{compiling.COMPILER_PAD}")
    for layer in range(config.n_layers):
        block = f"blocks.{layer}"
        attention = _attention(compiled, layer, config)
        if not causal:
            _mask_padding(attention, pad)
        parameters |= {f"{block}.attn.{name}": tensor for name, tensor in attention.items()}
        for name, linear in (("in", "linear_1"), ("out", "linear_2")):
            parameters[f"{block}.mlp.W_{name}"] = _weight(compiled, f"transformer/layer_{layer}/mlp/{linear}")
        if constant is not None:
            for read in ("attn.W_Q", "attn.W_K", "attn.W_V", "mlp.W_in"):
                _into_bias(parameters, f"{block}.{read}", constant)
    if constant is not None:
        parameters["embed.W_E"][:, constant] = 0
    return TwinWeights(config, parameters, directions)


def _weight(compiled: assemble.AssembledTransformerModel, module: str, name: str = "w") -> Float[Tensor, "..."]:
    return torch.tensor(np.asarray(compiled.params[module][name], dtype=np.float32))


def _embeddings(compiled: assemble.AssembledTransformerModel, model: CausalModel) -> dict[str, Tensor]:
    encoder = compiled.input_encoder
    assert isinstance(encoder, CategoricalEncoder)
    rows = [encoder.encoding_map[word] for word in (*model.vocab, compiling.COMPILER_BOS, compiling.COMPILER_PAD)]
    return {
        "embed.W_E": _weight(compiled, "token_embed", "embeddings")[rows],
        "pos_embed.W_pos": _weight(compiled, "pos_embed", "embeddings"),
    }


def _unembedding(compiled: assemble.AssembledTransformerModel, model: CausalModel) -> dict[str, Tensor]:
    """Finds what reads each class, in the causal model's order; None is answered where no class is written."""

    def forward(directions: Any) -> Any:
        return compiled.get_compiled_model().unembed(directions, use_unembed_argmax=False)

    size = len(compiled.residual_labels)
    apply = hk.without_apply_rng(hk.transform(forward)).apply
    read = torch.tensor(np.asarray(apply(compiled.params, jnp.eye(size)))).reshape(size, -1)
    if model.classes is None:
        return {"unembed.W_U": read, "unembed.b_U": torch.zeros(1)}
    decoder = compiled.output_encoder
    assert isinstance(decoder, CategoricalEncoder)
    none = [index for index, value in enumerate(model.classes) if value is None]
    bias = torch.zeros(len(model.classes))
    bias[none] = WRITTEN
    kept = [torch.zeros(size) if value is None else read[:, decoder.encoding_map[value]] for value in model.classes]
    return {"unembed.W_U": torch.stack(kept, 1), "unembed.b_U": bias}


def _attention(
    compiled: assemble.AssembledTransformerModel, layer: int, config: ModelConfig
) -> dict[str, Float[Tensor, "..."]]:
    """Splits a layer's matrices by heads; d_head may be wider than Tracr's, by zeros."""
    own = compiled.model_config.key_size
    module = f"transformer/layer_{layer}/attn"
    wider = (0, config.d_head - own)
    split = {
        slot: _weight(compiled, f"{module}/{name}").unflatten(1, (config.n_heads, own)).transpose(0, 1)
        for slot, name in (("Q", "query"), ("K", "key"), ("V", "value"))
    }
    # Scores are divided by the root of d_head.
    split["Q"] = split["Q"] * math.sqrt(config.d_head / own)
    found = {f"W_{slot}": torch.nn.functional.pad(weight, wider) for slot, weight in split.items()}
    leave = _weight(compiled, f"{module}/linear").unflatten(0, (config.n_heads, own))
    found["W_O"] = torch.nn.functional.pad(leave, (0, 0, *wider))
    return found | {f"b_{slot}": torch.zeros(config.n_heads, config.d_head) for slot in "QKV"}


def _mask_padding(attention: dict[str, Tensor], pad: int) -> None:
    """Has the last number of each key that is used say whether the token is PAD, and every query forbid that."""
    for head in _used(attention["W_V"], attention["W_O"]):
        attention["W_K"][head, pad, -1] = -1
        attention["b_Q"][head, -1] = MASKED * math.sqrt(attention["W_Q"].shape[-1])


def _used(value: Float[Tensor, "head d_model d_head"], leave: Float[Tensor, "head d_head d_model"]) -> Sequence[int]:
    written: list[int] = (value @ leave).flatten(1).any(1).nonzero().flatten().tolist()
    return written


def _into_bias(parameters: dict[str, Tensor], weight: str, constant: int) -> None:
    """Adds what a matrix reads of the constant to its bias, and has it read nothing of it."""
    rows = parameters[weight][..., constant, :]
    parameters[weight.replace(".W_", ".b_")] += rows
    rows.zero_()
