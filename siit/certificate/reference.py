"""A plain reference forward pass over a dict of weights, in which node outputs and single edge terms can be replaced.

It shares no code with the model that is trained, so that what certifies a model is independent of what trained it.

Semantics. A *node* is `tok_embed`, `pos_embed`, a head (its output without `b_O`) or an MLP (its output with `b_out`).
A slot of a receiver reads the sum of the outputs of all nodes of smaller depth, and of all attention layers' `b_O`
before it. These belong to no node and are never replaced; LayerNorm comes after the sum. A *node replacement* changes
what every reader gets from the node. An *edge replacement* changes one sender's term in the sum that one slot of one
receiver reads. There it wins over a replacement of the sender.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from siit.graph.architecture import (
    LOGITS,
    POS_EMBED,
    TOK_EMBED,
    Edge,
    ModelConfig,
    Slot,
    components,
    depth,
    head,
    head_index,
    is_head,
    layer_of,
    mlp,
    slots,
)

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


@dataclass(frozen=True, eq=False)
class ReferenceRun:
    """One forward pass.

    Attributes:
        final: what the unembedding reads, [batch, pos, d_model].
        outputs: what each embedding, head and MLP gave its readers, after node replacements; [batch, pos, d_model].
        unembed: makes logits of `final`, or of some of its positions.
    """

    final: Float[Tensor, "batch pos d_model"]
    outputs: Mapping[str, Float[Tensor, "batch pos d_model"]]
    unembed: Callable[[Tensor], Tensor]

    @cached_property
    def logits(self) -> Float[Tensor, "batch pos d_vocab_out"]:
        """Of all positions; computed where they are asked for."""
        return self.unembed(self.final)


class ReferenceModel:
    """The function that a set of weights computes, without gradients, on the device where the weights are.

    Args:
        config: the architecture.
        parameters: weights by their HookedTransformer names, see `ModelConfig.parameter_shapes`.
    """

    def __init__(self, config: ModelConfig, parameters: Mapping[str, Float[Tensor, "..."]]) -> None:
        self.config = config
        self.parameters = {name: tensor.detach() for name, tensor in parameters.items()}

    def embed(
        self, tokens: Int[Tensor, "batch pos"], positions: Int[Tensor, "batch pos"] | None = None
    ) -> dict[str, Float[Tensor, "batch pos d_model"]]:
        """Outputs of both embeddings. `positions` are position ids, each slot's own where None."""
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        return {
            TOK_EMBED: self.parameters["embed.W_E"][tokens],
            POS_EMBED: self.parameters["pos_embed.W_pos"][positions],
        }

    @torch.no_grad()
    def run(self, tokens: Int[Tensor, "batch pos"], positions: Int[Tensor, "batch pos"] | None = None) -> ReferenceRun:
        """Runs the model as it is. `positions` are position ids, each slot's own where None."""
        return self._forward(self.embed(tokens, positions), {}, {}, None)

    @torch.no_grad()
    def patched(
        self,
        clean: ReferenceRun,
        nodes: Mapping[str, Float[Tensor, "..."]] | None = None,
        edges: Mapping[Edge, Float[Tensor, "..."]] | None = None,
    ) -> ReferenceRun:
        """Runs the model on the input of `clean` with replacements; what they cannot reach is not computed again.

        Args:
            clean: the run of the same input without replacements.
            nodes: node -> its output, broadcast to [batch, pos, d_model].
            edges: edge -> its sender's term, broadcast to [batch, pos, d_model].

        Raises:
            ValueError: names a node or an edge that this architecture does not have.
        """
        nodes, edges = nodes or {}, edges or {}
        for node in nodes:
            if node not in clean.outputs:
                raise ValueError(f"node: found {node!r}, accepted are {', '.join(clean.outputs)}")
        for edge in edges:
            ends_known = edge.sender in clean.outputs and (edge.receiver in clean.outputs or edge.receiver == LOGITS)
            if not ends_known or edge.slot not in slots(edge.receiver) or depth(edge.sender) >= depth(edge.receiver):
                raise ValueError(f"edge: found {edge}, accepted are the edges of this architecture")
        replaced = {name: tensor.expand_as(clean.outputs[name]) for name, tensor in nodes.items()}
        embeddings = {name: replaced.get(name, clean.outputs[name]) for name in (TOK_EMBED, POS_EMBED)}
        return self._forward(embeddings, replaced, edges, clean)

    @torch.no_grad()
    def pattern(self, name: str, run: ReferenceRun) -> Float[Tensor, "batch query key"]:
        """Gives the attention pattern of a head in a run in which no edge was replaced; each query's row adds up to 1.

        Raises:
            ValueError: this architecture has no such head.
        """
        heads = [node for node in components(self.config) if is_head(node)]
        if name not in heads:
            raise ValueError(f"head: found {name!r}, accepted are {heads[0]} to {heads[-1]}")
        senders = [output for sender, output in run.outputs.items() if depth(sender) < depth(name)]
        biases = [self.parameters[f"blocks.{layer}.attn.b_O"] for layer in range(layer_of(name))]
        read = self._normalize(f"blocks.{layer_of(name)}.ln1", sum([*senders[1:], *biases], senders[0]))
        return self._pattern(name, read, read)

    @torch.no_grad()
    def unembed(self, final: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_vocab_out"]:
        """Logits, of what `ReferenceRun.final` holds."""
        return F.linear(final, self.parameters["unembed.W_U"].mT, self.parameters["unembed.b_U"])

    def _forward(
        self,
        embeddings: dict[str, Tensor],
        nodes: Mapping[str, Tensor],
        edges: Mapping[Edge, Tensor],
        clean: ReferenceRun | None,
    ) -> ReferenceRun:
        given = {**_untouched(self.config, clean, nodes, edges), **nodes}
        # Holds exactly the senders of the component that is computed next.
        outputs = dict(embeddings)
        stream = outputs[TOK_EMBED] + outputs[POS_EMBED]
        for layer in range(self.config.n_layers):
            heads = [head(layer, index) for index in range(self.config.n_heads)]
            if any(name not in given for name in heads):
                norm = f"blocks.{layer}.ln1"
                plain = self._normalize(norm, stream)
                results = {
                    name: given[name]
                    if name in given
                    else self._head(name, *self._reads(name, norm, stream, plain, outputs, edges))
                    for name in heads
                }
            else:
                results = {name: given[name] for name in heads}
            for name in heads:
                outputs[name] = results[name]
                stream = stream + results[name]
            stream = stream + self.parameters[f"blocks.{layer}.attn.b_O"]
            name = mlp(layer)
            if name in given:
                outputs[name] = given[name]
            else:
                norm = f"blocks.{layer}.ln2"
                (read,) = self._reads(name, norm, stream, self._normalize(norm, stream), outputs, edges)
                outputs[name] = self._mlp(layer, read)
            stream = stream + outputs[name]
        if clean is not None and LOGITS in given:
            return ReferenceRun(given[LOGITS], outputs, self.unembed)
        (read,) = self._reads(LOGITS, "ln_final", stream, self._normalize("ln_final", stream), outputs, edges)
        return ReferenceRun(read, outputs, self.unembed)

    def _reads(
        self,
        receiver: str,
        norm: str,
        stream: Tensor,
        plain: Tensor,
        outputs: Mapping[str, Tensor],
        edges: Mapping[Edge, Tensor],
    ) -> list[Tensor]:
        """What each slot reads, normalized: where no edge into it is replaced `plain`, the residual stream."""
        sums = [_own_sum(receiver, slot, stream, outputs, edges) for slot in slots(receiver)]
        return [plain if own is None else self._normalize(norm, own) for own in sums]

    def _normalize(self, norm: str, x: Tensor) -> Tensor:
        if self.config.normalization_type is None:
            return x
        weight, bias = self.parameters[f"{norm}.w"], self.parameters[f"{norm}.b"]
        return F.layer_norm(x, weight.shape, weight, bias, self.config.eps)

    def _head(self, name: str, *reads: Tensor) -> Tensor:
        q, k, v = reads
        value, output = self._project(name, "v", v), self.parameters[f"blocks.{layer_of(name)}.attn.W_O"]
        return self._pattern(name, q, k) @ value @ output[head_index(name)]

    def _pattern(self, name: str, q: Tensor, k: Tensor) -> Tensor:
        query, key = self._project(name, "q", q), self._project(name, "k", k)
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.config.d_head)
        if self.config.attention_dir == "causal":
            size = scores.shape[-1]
            future = torch.ones(size, size, dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(future, -torch.inf)
        return scores.softmax(-1)

    def _project(self, name: str, slot: Slot, read: Tensor) -> Tensor:
        """What a head's slot makes of what it reads, [batch, pos, d_head]."""
        attn, index = f"blocks.{layer_of(name)}.attn", head_index(name)
        weight, bias = (self.parameters[f"{attn}.{kind}_{slot.upper()}"][index] for kind in "Wb")
        return F.linear(read, weight.mT, bias)

    def _mlp(self, layer: int, read: Tensor) -> Tensor:
        enter, leave = (
            (self.parameters[f"blocks.{layer}.mlp.W_{end}"].mT, self.parameters[f"blocks.{layer}.mlp.b_{end}"])
            for end in ("in", "out")
        )
        return F.linear(ACTIVATIONS[self.config.act_fn](F.linear(read, *enter)), *leave)


def _own_sum(
    receiver: str, slot: Slot | None, stream: Tensor, outputs: Mapping[str, Tensor], edges: Mapping[Edge, Tensor]
) -> Tensor | None:
    """The residual stream with the replaced terms of one sum for their senders' outputs; None for none."""
    replaced = [edge for edge in edges if edge.receiver == receiver and edge.slot == slot]
    if not replaced:
        return None
    total = stream.clone()
    for edge in replaced:
        total += edges[edge] - outputs[edge.sender]
    return total


def _untouched(
    config: ModelConfig, clean: ReferenceRun | None, nodes: Mapping[str, Tensor], edges: Mapping[Edge, Tensor]
) -> dict[str, Tensor]:
    """Outputs in `clean`, and under `logits` what the unembedding reads there, that no replacement can reach."""
    if clean is None:
        return {}
    touched = {*nodes, *(edge.receiver for edge in edges)}
    first = min(map(depth, touched), default=depth(LOGITS))
    values = {**clean.outputs, LOGITS: clean.final}
    return {
        name: values[name] for name in [*components(config), LOGITS] if depth(name) <= first and name not in touched
    }
