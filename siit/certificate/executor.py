"""Runs a model in which nodes and edges are replaced by degrees: each example has masks of its own, with gradients.

A mask is a number for each part: 0 leaves it as it is, 1 replaces it as `siit.certificate.reference` does. Between them
it moves linearly from one to the other. So masks enter a run as a product, and one backward pass tells what every
part's replacement would do to every example.

With LayerNorm the mean of what a component writes is lost on every reader. So the weights that write are centred here,
and LayerNorm's own are folded into those that read. What is left of it is a division by the root mean square.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from siit.certificate.reference import ACTIVATIONS
from siit.graph.architecture import Edge, ModelConfig, edges, nodes


@dataclass(frozen=True, eq=False)
class Affine:
    """Multiplies by a weight and adds a bias; of several, one beside the other in a leading dimension."""

    weight: Float[Tensor, "*several enter leave"]
    bias: Float[Tensor, "*several leave"]

    def __call__(
        self, x: Float[Tensor, "*rows enter"], scale: Float[Tensor, "*rows 1"] | None = None
    ) -> Float[Tensor, "*rows leave"]:
        """Applies it to rows, each multiplied by its scale; several have rows of their own, in a leading dimension."""
        if scale is not None:
            return torch.addcmul(self.bias.unsqueeze(-2), x @ self.weight, scale)
        if self.weight.ndim == 2:
            return F.linear(x, self.weight.mT, self.bias)
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight)

    @cached_property
    def beside(self) -> Affine:
        """One map for all of several, which leaves what each leaves side by side."""
        return Affine(self.weight.transpose(0, 1).flatten(1).contiguous(), self.bias.flatten())


@dataclass(frozen=True, eq=False)
class Layer:
    """Holds the weights of one layer, LayerNorm folded in.

    Attributes:
        slots: what heads read, head after head, of each q, k and v; [3 n_heads, d_model, d_head].
        leave: what heads write; [n_heads, d_head, d_model].
        bias: `b_O`, which belongs to no node.
        enter, exit: the MLP's two maps.
    """

    slots: Affine
    leave: Float[Tensor, "n_heads d_head d_model"]
    bias: Float[Tensor, " d_model"]
    enter: Affine
    exit: Affine

    @cached_property
    def queries(self) -> Affine:
        """What heads read as q."""
        return Affine(self.slots.weight[::3], self.slots.bias[::3])

    @cached_property
    def others(self) -> Affine:
        """What heads read as k and v, head after head."""
        weight, bias = self.slots.weight, self.slots.bias
        return Affine(*(part.unflatten(0, (-1, 3))[:, 1:].flatten(0, 1) for part in (weight, bias)))


class At:
    """Positions of each example at which the last layer's queries are needed; fewer than all.

    Args:
        needed: those positions.

    Attributes:
        real: the examples have as many places each as one needs at most; which of them stand for a position.
        seen: of each place, the positions that a causal model lets it attend to.
    """

    def __init__(self, needed: Bool[Tensor, "batch pos"]) -> None:
        counts = needed.sum(1)
        places = torch.arange(max(1, int(counts.max())), device=needed.device)
        # Needed positions come first, in their order.
        self._index = (~needed).int().argsort(dim=1, stable=True)[:, : len(places)]
        self.real: Bool[Tensor, "batch places"] = places < counts.unsqueeze(1)
        self.seen: Bool[Tensor, "batch places pos"] = torch.arange(
            needed.shape[1], device=needed.device
        ) <= self._index.unsqueeze(-1)
        self._rows = torch.arange(len(needed), device=needed.device).unsqueeze(1)

    def take(self, stream: Float[Tensor, "*any batch pos d"]) -> Float[Tensor, "*any batch places d"]:
        """Takes what stands at each place."""
        return stream[..., self._rows, self._index, :]


class Executor:
    """The function that a set of weights computes, written for many patched runs; gradients reach masks alone.

    Args:
        config: the architecture.
        parameters: weights by their HookedTransformer names, see `ModelConfig.parameter_shapes`.
    """

    def __init__(self, config: ModelConfig, parameters: Mapping[str, Float[Tensor, "..."]]) -> None:
        self.config = config
        weights = {name: tensor.detach() for name, tensor in parameters.items()}
        self.layers = [self._layer(weights, index) for index in range(config.n_layers)]
        self.unembed = self._reader(weights, "ln_final", weights["unembed.W_U"], weights["unembed.b_U"])

    @cached_property
    def senders(self) -> tuple[str, ...]:
        """Nodes that others read, in the order of computation."""
        return tuple(nodes(self.config)[:-1])

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, in the order in which masks have them."""
        return tuple(edges(self.config))

    def centred(self, outputs: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """Takes the mean from what components write, where LayerNorm takes it from what is read."""
        if self.config.normalization_type is None:
            return outputs
        return outputs - outputs.mean(-1, keepdim=True)

    def scale(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any 1"] | None:
        """Computes what LayerNorm multiplies the stream by; None where there is none."""
        if self.config.normalization_type is None:
            return None
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square()
        return (square / self.config.d_model + self.config.eps).rsqrt()

    def scaled(self, x: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """Does what is left of LayerNorm."""
        scale = self.scale(x)
        return x if scale is None else x * scale

    def masked(
        self,
        known: Float[Tensor, "known batch pos d_model"],
        replacement: Float[Tensor, "senders #batch #pos d_model"],
        edge_masks: Float[Tensor, "*batch edges"],
        node_masks: Float[Tensor, " senders"] | Float[Tensor, "senders batch"] | None = None,
        directions: Float[Tensor, "senders batch pos d_model"] | None = None,
        first: int = 0,
        replaced: Sequence[bool] | None = None,
    ) -> Float[Tensor, "batch pos d_model"]:
        """Runs the model with parts replaced by degrees.

        Args:
            known: outputs of the senders that are not computed, centred: of `tok_embed` and `pos_embed`, and of all
                others before the first block.
            replacement: what replaces each sender's output, centred.
            edge_masks: of each edge, in the order of `edges`, for each example or, without a batch, for all of them.
                An edge wins over its sender.
            node_masks: likewise of each sender, in the order of `senders`; None replaces no node.
            directions: what a mask of 1 adds to a sum, for each sender; None: its replacement less its output.
            first: block (`blocks`) from which on the model is computed; no edge is replaced that enters an earlier one.
            replaced: of each sender, whether its mask is 1 in every example: its output is then not computed. None: of
                no sender is that known.

        Returns:
            What the unembedding reads before LayerNorm's scale.
        """
        shape = known.shape[1:]
        masks = self.blocks(edge_masks)
        stream = known.new_zeros(shape)
        left = known[:0]  # of every sender so far, what replacing it would add
        # Without gradients it grows in place, which takes a fifth of the time off.
        grows = torch.is_grad_enabled() or directions is not None
        room = None if grows else known.new_empty((len(self.senders), *shape))

        def write(outputs: Tensor) -> None:
            """Adds components' outputs, replaced as the nodes' masks say, to what all later ones read."""
            nonlocal stream, left
            new = slice(len(left), len(left) + len(outputs))
            if node_masks is not None:
                mask = node_masks[new].view(len(outputs), -1, 1, 1)
                outputs = torch.lerp(outputs, replacement[new].expand_as(outputs), mask)
            stream = stream + outputs.sum(0)
            if directions is not None:
                left = directions[: new.stop]
            elif room is None:
                left = torch.cat([left, replacement[new] - outputs])
            else:
                torch.sub(replacement[new], outputs, out=room[new])
                left = room[: new.stop]

        def read(mask: Tensor) -> Tensor:
            """What slots read, [reads, batch, pos, d_model]: the stream, and the replaced edges' terms in it."""
            if mask.ndim == 2:
                return torch.addmm(stream.flatten(), mask, left.flatten(1)).unflatten(1, shape)
            total = torch.baddbmm(stream.flatten(1).unsqueeze(1), mask, left.flatten(2).transpose(0, 1))
            return total.transpose(0, 1).contiguous().unflatten(2, shape[1:])

        def absent(count: int) -> list[bool]:
            """Tells of the next senders whether they are not computed."""
            return [False] * count if replaced is None else list(replaced[len(left) : len(left) + count])

        write(known)
        for index, layer in enumerate(self.layers):
            if first <= 2 * index:
                write(self._heads(layer, masks[2 * index], read, absent(self.config.n_heads)))
            stream = stream + layer.bias
            if first <= 2 * index + 1:
                (gone,) = absent(1)
                write(stream.new_zeros(1, *shape) if gone else self.mlp(layer, read(masks[2 * index + 1])))
        return read(masks[-1]).squeeze(0)

    def _heads(
        self,
        layer: Layer,
        masks: Tensor,
        read: Callable[[Tensor], Float[Tensor, "reads batch pos d_model"]],
        absent: list[bool],
    ) -> Float[Tensor, "heads batch pos d_model"]:
        """Computes a layer's heads; zeros stand for those that are absent."""
        present = [head for head, gone in enumerate(absent) if not gone]
        slots, leave = layer.slots, layer.leave
        if len(present) < len(absent):
            rows = [3 * head + slot for head in present for slot in range(3)]
            slots, leave = Affine(slots.weight[rows], slots.bias[rows]), leave[present]
            masks = masks[..., rows, :]
        reads = read(masks)
        shape = reads.shape[1:3]
        scale = self.scale(reads)
        made = slots(reads.flatten(1, 2), None if scale is None else scale.flatten(1, 2))
        q, k, v = made.unflatten(1, shape).unflatten(0, (-1, 3)).unbind(1)
        found = (self.attend(q, k, v).flatten(1, 2) @ leave).unflatten(1, shape)
        if len(present) == len(absent):
            return found
        index = torch.tensor(present, dtype=torch.int64, device=found.device)
        return found.new_zeros(len(absent), *found.shape[1:]).index_copy(0, index, found)

    def attend(
        self,
        q: Float[Tensor, "*any queries d_head"],
        k: Float[Tensor, "*any pos d_head"],
        v: Float[Tensor, "*any pos d_head"],
        *,
        at: At | None = None,
    ) -> Float[Tensor, "*any queries d_head"]:
        """Mixes values by attention.

        Args:
            q: of every position, or of those of `at`. Its weights are scaled already.
            k, v: of every position.
            at: where queries are.
        """
        causal = self.config.attention_dir == "causal"
        mask = at.seen.unsqueeze(1) if causal and at is not None else None
        runs = q.shape[:-3]
        if len(runs) > 1:  # The kernels for short attention take four dimensions.
            q, k, v = (part.flatten(0, 1) for part in (q, k, v))
            mask = mask if mask is None else mask.repeat(runs[0], 1, 1, 1)
        is_causal = causal and mask is None
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal, scale=1.0)
        return mixed.unflatten(0, runs) if len(runs) > 1 else mixed

    def mlp(self, layer: Layer, read: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_model"]:
        """Computes an MLP's output from what it reads, not scaled yet."""
        return layer.exit(ACTIVATIONS[self.config.act_fn](layer.enter(self.scaled(read))))

    def logits(self, final: Float[Tensor, "*any d_model"]) -> Float[Tensor, "*any d_vocab_out"]:
        """Makes logits of what `masked` gives, at any of its positions."""
        return self.unembed(self.scaled(final))

    def blocks(self, by_edge: Shaped[Tensor, "*any edges"]) -> list[Shaped[Tensor, "*any reads senders"]]:
        """Views what is in the order of edges by what each layer's heads, its MLP and at last the logits read.

        Heads read q, k and v each, head after head.
        """
        parts = by_edge.split([reads * senders for reads, senders in self._blocks], dim=-1)
        return [part.unflatten(-1, block) for part, block in zip(parts, self._blocks, strict=True)]

    def project(
        self, layer: Layer, stream: Float[Tensor, "*any batch pos d_model"], at: At | None = None
    ) -> list[Float[Tensor, "*any batch heads _ d_head"]]:
        """Makes each head's q, k and v, where all of them read the same; q only where it is asked for."""
        read = self.scaled(stream)
        if at is None:
            slots = layer.slots.beside(read).unflatten(-1, (-1, 3, self.config.d_head)).unbind(-2)
        else:
            others = layer.others.beside(read).unflatten(-1, (-1, 2, self.config.d_head)).unbind(-2)
            slots = (layer.queries.beside(at.take(read)).unflatten(-1, (-1, self.config.d_head)), *others)
        return [slot.transpose(-3, -2) for slot in slots]

    def attention(
        self, layer: Layer, stream: Float[Tensor, "*any batch pos d_model"], at: At | None = None
    ) -> Float[Tensor, "*any batch queries d_model"]:
        """Adds up what all heads of a layer write, and its bias, where all their slots read the same."""
        mixed = self.attend(*self.project(layer, stream, at), at=at).transpose(-3, -2).flatten(-2)
        return F.linear(mixed, layer.leave.flatten(0, 1).mT, layer.bias)

    @cached_property
    def block_ends(self) -> list[int]:
        """Counts the edges up to the end of each block."""
        return list(itertools.accumulate(reads * senders for reads, senders in self._blocks))

    def senders_before(self, block: int) -> int:
        """Counts the senders that a block reads."""
        return self._blocks[block][1]

    @cached_property
    def _blocks(self) -> list[tuple[int, int]]:
        """Reads and senders of each layer's heads, of its MLP, and at last of the logits."""
        heads, blocks, before = self.config.n_heads, [], 2
        for _ in self.layers:
            blocks += [(3 * heads, before), (1, before + heads)]
            before += heads + 1
        return [*blocks, (1, before)]

    def _layer(self, weights: Mapping[str, Tensor], index: int) -> Layer:
        attn, mlp = f"blocks.{index}.attn", f"blocks.{index}.mlp"
        shape = (3 * self.config.n_heads, self.config.d_model, self.config.d_head)
        enter = torch.stack([weights[f"{attn}.W_{slot}"] for slot in "QKV"], 1)
        bias = torch.stack([weights[f"{attn}.b_{slot}"] for slot in "QKV"], 1)
        scale = torch.tensor([1 / math.sqrt(self.config.d_head), 1, 1], dtype=enter.dtype, device=enter.device)
        slots = self._reader(
            weights,
            f"blocks.{index}.ln1",
            (enter * scale[:, None, None]).view(shape),
            (bias * scale[:, None]).view(shape[0], -1),
        )
        return Layer(
            slots,
            self.centred(weights[f"{attn}.W_O"]),
            self.centred(weights[f"{attn}.b_O"]),
            self._reader(weights, f"blocks.{index}.ln2", weights[f"{mlp}.W_in"], weights[f"{mlp}.b_in"]),
            Affine(self.centred(weights[f"{mlp}.W_out"]), self.centred(weights[f"{mlp}.b_out"])),
        )

    def _reader(self, weights: Mapping[str, Tensor], norm: str, weight: Tensor, bias: Tensor) -> Affine:
        """A map that reads the stream, with LayerNorm's weight and bias in its own."""
        if self.config.normalization_type is None:
            return Affine(weight, bias)
        return Affine(weights[f"{norm}.w"].unsqueeze(1) * weight, bias + weights[f"{norm}.b"] @ weight)
