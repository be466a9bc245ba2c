"""A GPT-2-style transformer; its parameters carry the names of TransformerLens' HookedTransformer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from siit.graph.architecture import (
    HEAD_SLOTS,
    LOGITS,
    POS_EMBED,
    TOK_EMBED,
    ModelConfig,
    Slot,
    head,
    head_index,
    layer_of,
    mlp,
)
from siit.transformer.patching import BatchPatch, EdgeReader, Read
from siit.transformer.spread import spread

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


ATTENTION_SCALE = 0.25
"""Of initial queries and keys: patterns start nearly uniform, so that noise off the circuit hardly moves them."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """One run.

    Attributes:
        final: what the unembedding reads, [batch, pos, d_model].
        senders: outputs of the embeddings, heads (without b_O) and MLPs in the order of computation, after patches.
        unembed: makes logits of `final`, or of some of its positions.
        patterns: head -> its attention pattern, of the heads that were computed.
    """

    final: Float[Tensor, "batch pos d_model"]
    senders: list[Float[Tensor, "batch pos d_model"]]
    unembed: Callable[[Tensor], Tensor]
    patterns: Mapping[str, Float[Tensor, "batch query key"]]

    @cached_property
    def logits(self) -> Float[Tensor, "batch pos d_vocab_out"]:
        """Logits of all positions; computed when asked for."""
        return self.unembed(self.final)


class _Embed(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(config.d_vocab, config.d_model))


class _PosEmbed(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.W_pos = nn.Parameter(torch.empty(config.n_ctx, config.d_model))


class _Unembed(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.W_U = nn.Parameter(torch.empty(config.d_model, config.d_vocab_out))
        self.b_U = nn.Parameter(torch.empty(config.d_vocab_out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.W_U + self.b_U


class _LayerNorm(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.w = nn.Parameter(torch.empty(config.d_model))
        self.b = nn.Parameter(torch.empty(config.d_model))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.w.shape, self.w, self.b, self.eps)


class _Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        shape = (config.n_heads, config.d_model, config.d_head)
        for slot in "QKV":
            setattr(self, f"W_{slot}", nn.Parameter(torch.empty(shape)))
            setattr(self, f"b_{slot}", nn.Parameter(torch.empty(config.n_heads, config.d_head)))
        self.W_O = nn.Parameter(torch.empty(config.n_heads, config.d_head, config.d_model))
        self.b_O = nn.Parameter(torch.empty(config.d_model))

    def projections(self, slot: Slot) -> tuple[Tensor, Tensor]:
        """Weight [head, d_model, d_head] and bias [head, d_head] of slot q, k or v."""
        return getattr(self, f"W_{slot.upper()}"), getattr(self, f"b_{slot.upper()}")


class _MLP(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[config.act_fn]
        self.W_in = nn.Parameter(torch.empty(config.d_model, config.d_mlp))
        self.b_in = nn.Parameter(torch.empty(config.d_mlp))
        self.W_out = nn.Parameter(torch.empty(config.d_mlp, config.d_model))
        self.b_out = nn.Parameter(torch.empty(config.d_model))

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x @ self.W_in + self.b_in) @ self.W_out + self.b_out


class _Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        normalize = config.normalization_type == "LN"
        self.ln1 = _LayerNorm(config) if normalize else nn.Identity()
        self.attn = _Attention(config)
        self.ln2 = _LayerNorm(config) if normalize else nn.Identity()
        self.mlp = _MLP(config)


class Transformer(nn.Module):
    """A pre-LayerNorm transformer in which components and edges can be patched per example.

    Args:
        config: the architecture.
        seed: draws the initial weights; None leaves them unset, for weights that are loaded.
        embedding_std, position_std: standard deviations of the initial token and position embeddings.
        spread_embeddings: whether the drawn token embeddings are turned away from each other, see `spread`.
    """

    def __init__(
        self,
        config: ModelConfig,
        seed: int | None = None,
        embedding_std: float = 1.0,
        position_std: float = 0.3,
        spread_embeddings: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.embed = _Embed(config)
        self.pos_embed = _PosEmbed(config)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.n_layers))
        self.ln_final = _LayerNorm(config) if config.normalization_type == "LN" else nn.Identity()
        self.unembed = _Unembed(config)
        if seed is not None:
            self._initialise(torch.Generator().manual_seed(seed), {"W_E": embedding_std, "W_pos": position_std})
            if spread_embeddings:
                self.embed.W_E.data = spread(self.embed.W_E)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator, embeddings: dict[str, float]) -> None:
        """Draws embeddings of given deviations and other weights of variance 1 / fan-in; biases are 0, gains 1.

        Output projections are smaller by sqrt(2 n_layers), as in GPT-2. Otherwise the noise of replaced off-circuit
        parts drowns what the circuit reads, and the circuit-only phase takes several times as long.
        """
        for name, parameter in self.named_parameters():
            kind = name.rpartition(".")[2]
            if kind == "w":
                parameter.fill_(1.0)
            elif kind.startswith("b"):
                parameter.zero_()
            elif kind in embeddings:
                parameter.normal_(0.0, embeddings[kind], generator=generator)
            else:
                fan_in = self.config.n_heads * self.config.d_head if kind == "W_O" else parameter.shape[-2]
                depth = 2 * self.config.n_layers if kind in ("W_O", "W_out") else 1
                scale = ATTENTION_SCALE if kind in ("W_Q", "W_K") else 1.0
                parameter.normal_(0.0, scale / math.sqrt(fan_in * depth), generator=generator)

    def forward(
        self,
        tokens: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch pos"] | None = None,
        patch: BatchPatch | None = None,
    ) -> Float[Tensor, "batch pos d_vocab_out"]:
        """Computes logits, under patches if there are any.

        Args:
            tokens: the inputs.
            positions: position ids; None: each slot's own.
            patch: what is replaced.
        """
        return self.run(tokens, positions, patch).logits

    def run(
        self,
        tokens: Int[Tensor, "batch pos"],
        positions: Int[Tensor, "batch pos"] | None = None,
        patch: BatchPatch | None = None,
    ) -> Outputs:
        """Runs the model, and returns every component's output beside what the logits are made of.

        Args:
            tokens: the inputs.
            positions: position ids; None: each slot's own.
            patch: what is replaced.
        """
        stream = _Stream(patch)
        embedded = self.embed.W_E[tokens]
        if positions is None:
            place = self.pos_embed.W_pos[: tokens.shape[-1]].expand_as(embedded)
        else:
            place = self.pos_embed.W_pos[positions]
        stream.add(TOK_EMBED, embedded)
        stream.add(POS_EMBED, place)
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, _Block)
            self._attend(layer, block, stream)
            if stream.computes(mlp(layer)):
                stream.add(mlp(layer), block.mlp(block.ln2(stream.read([(mlp(layer), None)]).squeeze(0))))
            else:
                stream.add(mlp(layer), None)
        return Outputs(
            self.ln_final(stream.read([(LOGITS, None)]).squeeze(0)), stream.senders, self.unembed, stream.patterns
        )

    def reading(
        self, receiver: str, slot: Slot | None
    ) -> tuple[Float[Tensor, "d_model width"], Float[Tensor, " width"]]:
        """Gives the map and the bias with which a slot reads the stream, LayerNorm's own weights folded in.

        What is left of LayerNorm is a division by the stream's standard deviation: the map takes its mean away.

        Args:
            receiver: a head, an MLP or the logits.
            slot: of a head.
        """
        norm, weight, bias = self._reader(receiver, slot)
        if isinstance(norm, _LayerNorm):
            bias = bias + norm.b @ weight
            weight = norm.w.unsqueeze(1) * weight
            weight = weight - weight.mean(0)
        return weight, bias

    def constants(self) -> Float[Tensor, "layers_before d_model"]:
        """Adds up what the attention biases `b_O` of the first layers, from none to all, put into the stream."""
        biases = torch.stack([block.attn.b_O for block in self.blocks if isinstance(block, _Block)])
        return torch.cat([torch.zeros_like(biases[:1]), biases.cumsum(0)])

    def _reader(self, receiver: str, slot: Slot | None) -> tuple[nn.Module, Tensor, Tensor]:
        if receiver == LOGITS:
            return self.ln_final, self.unembed.W_U, self.unembed.b_U
        block = self.blocks[layer_of(receiver)]
        assert isinstance(block, _Block)
        if slot is None:
            return block.ln2, block.mlp.W_in, block.mlp.b_in
        weight, bias = block.attn.projections(slot)
        return block.ln1, weight[head_index(receiver)], bias[head_index(receiver)]

    def _attend(self, layer: int, block: _Block, stream: _Stream) -> None:
        names = [head(layer, index) for index in range(self.config.n_heads)]
        heads = [index for index, name in enumerate(names) if stream.computes(name)]
        results: dict[int, Tensor] = {}
        if heads:
            reads = stream.read([(names[index], slot) for slot in HEAD_SLOTS for index in heads])
            q, k, v = _projected(block.attn, heads, block.ln1(reads))
            patterns = self._pattern(q, k)
            stream.patterns |= zip((names[index] for index in heads), patterns, strict=True)
            mixed = (patterns @ v).flatten(1, 2)
            result = torch.bmm(mixed, _of_heads(block.attn.W_O, heads)).unflatten(1, q.shape[1:3])
            results = dict(zip(heads, result.unbind(0), strict=True))
        for index, name in enumerate(names):
            stream.add(name, results.get(index))
        stream.residual = stream.residual + block.attn.b_O

    def _pattern(
        self, q: Float[Tensor, "head batch pos d_head"], k: Float[Tensor, "head batch pos d_head"]
    ) -> Float[Tensor, "head batch pos pos"]:
        """Computes attention patterns; the mask is added within the product, for scores are the largest tensors."""
        size = q.shape[-2]
        mask = q.new_zeros(size, size)
        if self.config.attention_dir == "causal":
            mask = torch.full_like(mask, -torch.inf).triu(1)
        scores = torch.baddbmm(
            mask, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=1 / math.sqrt(self.config.d_head)
        )
        return scores.softmax(-1).unflatten(0, q.shape[:2])


def _projected(
    attention: _Attention, heads: list[int], inputs: Float[Tensor, "read batch pos d_model"]
) -> list[Tensor]:
    """Computes queries, keys and values of some heads, [head, batch, pos, d_head] each.

    Args:
        attention: the layer's weights.
        heads: indices.
        inputs: what each slot of each head reads, all heads' q first; or the one thing that all of them read.
    """
    found = []
    shared = len(inputs) == 1
    for slot, own in zip(HEAD_SLOTS, [inputs] * 3 if shared else inputs.chunk(3), strict=True):
        weight, bias = (_of_heads(parameter, heads) for parameter in attention.projections(slot))
        if shared:
            # One product, of all heads' matrices side by side.
            flat = (own[0] @ weight.transpose(0, 1).flatten(1)).unflatten(-1, bias.shape) + bias
            found.append(flat.permute(2, 0, 1, 3))
        else:
            product = torch.baddbmm(bias.unsqueeze(1), own.flatten(1, 2), weight)
            found.append(product.unflatten(1, inputs.shape[1:3]))
    return found


def _of_heads(parameter: Float[Tensor, "head ..."], heads: list[int]) -> Float[Tensor, "some ..."]:
    """Takes some heads' part of a parameter, without a copy where these are all."""
    return parameter if len(heads) == len(parameter) else parameter[heads]


class _Stream:
    """Keeps the residual stream of one run: what was added to it, and what each slot reads of it under a patch."""

    def __init__(self, patch: BatchPatch | None) -> None:
        self.patch = patch
        self.reader = None if patch is None else EdgeReader(patch)
        self.members = frozenset[str]() if patch is None else patch.points.members
        self.senders: list[Tensor] = []
        self.patterns: dict[str, Tensor] = {}
        self.residual: Tensor = torch.zeros(())

    def computes(self, name: str) -> bool:
        """Tells whether a component's own output matters to this run."""
        return self.patch is None or not self.patch.off_nodes_always or name in self.members

    def add(self, name: str, output: Tensor | None) -> None:
        """Adds a component's output, None where it was not computed, after node patches."""
        if self.patch is not None:
            output = self.patch.node_output(len(self.senders), output)
        assert output is not None
        if self.reader is not None:
            self.reader.sent(name, output)
        self.senders.append(output)
        self.residual = self.residual + output

    def read(self, reads: Sequence[Read]) -> Float[Tensor, "read batch pos d_model"]:
        """Computes what slots of receivers at one depth read, before LayerNorm; one thing for all without patches."""
        if self.reader is None:
            return self.residual.unsqueeze(0)
        return self.reader.read(reads, self.residual)
