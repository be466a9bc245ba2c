"""Our transformers as TransformerLens has them: a HookedTransformer (3.9) or a TransformerBridge (4).

The two versions cannot be installed together, so each function needs an extra of its own.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from siit._extras import require
from siit.interop.tokenizer import has_words, lens_tokenizer
from siit.prediction import Worded
from siit.transformer import Transformer

if TYPE_CHECKING:
    from transformer_lens import HookedTransformer


def to_hooked_transformer(
    model: Transformer, *, circuit_hooks: bool = True, bundle: Worded | None = None
) -> HookedTransformer:
    """Makes a HookedTransformer with the model's weights, on its device: the same logits, and TransformerLens' hooks.

    It takes ids, as `Vocab.encode` gives them, PAD among them, and no attention mask.

    Args:
        model: the transformer.
        bundle: where given, the model gets a tokenizer (`siit.interop.tokenizer`), so that `to_tokens("x a x")` gives
            those ids. Where tokens look alike as text, such as 1 and "1", it has none.
        circuit_hooks: whether every head's result and the input of every slot can be hooked, as edge attribution
            (EAP-IG, MIB, AutoCircuit) needs. They are `hook_result`, `hook_q_input`, `hook_k_input`, `hook_v_input` and
            `hook_mlp_in`. A run takes about five times as long with them.

    Raises:
        ImportError: TransformerLens 3.9 is not installed.
    """
    lens = require("transformer_lens", extra="lens", needed_by="to_hooked_transformer", attribute="HookedTransformer")
    weight = model.embed.W_E
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that version 4 has no HookedTransformer
        config = lens.HookedTransformerConfig(
            **model.config.to_json(), dtype=weight.dtype, device=str(weight.device), init_weights=False
        )
        hooked = lens.HookedTransformer(config)
    hooked.set_use_attn_result(circuit_hooks)
    hooked.set_use_split_qkv_input(circuit_hooks)
    hooked.set_use_hook_mlp_in(circuit_hooks)
    # Its attention masks are state too, but no weights.
    hooked.load_state_dict({**hooked.state_dict(), **model.state_dict()})
    if bundle is not None and has_words(bundle):
        hooked.set_tokenizer(lens_tokenizer(bundle))
    return hooked.eval()


def to_bridge(model: Transformer) -> Any:
    """Makes a TransformerBridge with the model's weights, on its device: the same logits.

    A native bridge (as of TransformerLens 4.3) has no hooks of single heads' results, nor of the inputs of q, k and v.
    So edges cannot be patched in it; everything else can be hooked.

    Raises:
        ImportError: TransformerLens 4 is not installed.
    """
    conversion, bridges, configs = (
        require(f"transformer_lens.{module}", extra="bridge", needed_by="to_bridge")
        for module in ("utilities.tl_checkpoint_conversion", "model_bridge", "config")
    )
    weight = model.embed.W_E
    config = configs.TransformerBridgeConfig(**model.config.to_json(), dtype=weight.dtype, init_weights=False)
    bridge = bridges.TransformerBridge.boot_native(config, device=weight.device, dtype=weight.dtype)
    bridge.load_state_dict(conversion.convert_tl_checkpoint(model.state_dict(), config))
    return bridge.eval()
