"""The same patches carried out by hooks in TransformerLens."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from siit.graph.architecture import EMBEDDINGS, HEAD_SLOTS, LOGITS, POS_EMBED, TOK_EMBED, ModelConfig, Slot, head, mlp
from siit.transformer import BatchPatch, Transformer


def hooked_transformer(model: Transformer) -> Any:
    """A HookedTransformer with the model's weights, every head's result and every slot's input hookable.

    Asserts that the state dict is the model's own, masks and the masked score apart.
    """
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its future interfaces
        dtype = model.embed.W_E.dtype
        config = HookedTransformerConfig(**model.config.to_json(), dtype=dtype, device="cpu", init_weights=False)
        lens = HookedTransformer(config)
    lens.set_use_attn_result(True)
    lens.set_use_split_qkv_input(True)
    lens.set_use_hook_mlp_in(True)
    found = lens.load_state_dict(model.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert all(name.rpartition(".")[2] in ("mask", "IGNORE") for name in found.missing_keys)
    return lens


class HookedRun:
    """One run of a HookedTransformer, under a patch where there is one.

    Attributes:
        logits: [batch, pos, d_vocab_out].
        sent: every sender's output after node patches, [batch, pos, d_model].
    """

    def __init__(self, lens: Any, config: ModelConfig, tokens: Tensor, patch: BatchPatch | None = None) -> None:
        self.patch = patch
        self.sent: dict[str, Tensor] = {}
        self.logits: Tensor = lens.run_with_hooks(tokens, fwd_hooks=list(self._hooks(config)))

    def _hooks(self, config: ModelConfig) -> list[tuple[str, Callable[..., Tensor]]]:
        hooks: list[tuple[str, Callable[..., Tensor]]] = [
            ("hook_embed", partial(self._send, TOK_EMBED)),
            ("hook_pos_embed", partial(self._send, POS_EMBED)),
        ]
        for layer in range(config.n_layers):
            block, heads = f"blocks.{layer}", [head(layer, index) for index in range(config.n_heads)]
            hooks += [(f"{block}.hook_{slot}_input", partial(self._read_heads, heads, slot)) for slot in HEAD_SLOTS]
            hooks.append((f"{block}.attn.hook_result", partial(self._send_heads, heads)))
            hooks.append((f"{block}.hook_mlp_in", partial(self._read, mlp(layer), None)))
            hooks.append((f"{block}.hook_mlp_out", partial(self._send, mlp(layer))))
        # After the last layer only the logits read it.
        hooks.append((f"blocks.{config.n_layers - 1}.hook_resid_post", partial(self._read, LOGITS, None)))
        return hooks

    def _send(self, name: str, output: Tensor, hook: Any = None) -> Tensor:
        if self.patch is not None:
            circuit = self.patch.points.circuit
            values = self.patch.interchange if name in [*EMBEDDINGS, *circuit.unit_of] else self.patch.ablation
            index = self.patch.points.senders.index(name)
            output = torch.where(self.patch.nodes[index, :, None, None], values[index], output)
        self.sent[name] = output
        return output

    def _send_heads(self, heads: list[str], outputs: Tensor, hook: Any = None) -> Tensor:
        return torch.stack([self._send(name, output) for name, output in zip(heads, outputs.unbind(2), strict=True)], 2)

    def _read(self, receiver: str, slot: Slot | None, residual: Tensor, hook: Any = None) -> Tensor:
        """Subtracts the sender, adds the replacement."""
        if self.patch is None:
            return residual
        points = self.patch.points
        for index, edge in enumerate(points.edges):
            if (edge.receiver, edge.slot) == (receiver, slot):
                values = self.patch.interchange if edge in points.circuit.carries else self.patch.ablation
                exchanged = residual - self.sent[edge.sender] + values[points.senders.index(edge.sender)]
                residual = torch.where(self.patch.edges[index, :, None, None], exchanged, residual)
        return residual

    def _read_heads(self, heads: list[str], slot: Slot, inputs: Tensor, hook: Any = None) -> Tensor:
        return torch.stack([self._read(name, slot, one) for name, one in zip(heads, inputs.unbind(2), strict=True)], 2)
