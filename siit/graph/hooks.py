"""Names edges by the hooks of TransformerLens' HookedTransformer, as ACDC and InterpBench write them.

A sender is the hook where its output appears, a receiver the hook of the input that one of its slots reads. A head is
an index into its layer's hook: `blocks.0.hook_mlp_out -> blocks.1.hook_v_input[2]`.
"""

from __future__ import annotations

from siit.graph.architecture import (
    LOGITS,
    POS_EMBED,
    TOK_EMBED,
    Edge,
    ModelConfig,
    edges,
    head_index,
    is_head,
    layer_of,
)

ARROW = " -> "
EMBED_HOOKS = {TOK_EMBED: "hook_embed", POS_EMBED: "hook_pos_embed"}


def sender_hook(node: str) -> str:
    """Names the hook of the output of an embedding, a head or an MLP."""
    if node in EMBED_HOOKS:
        return EMBED_HOOKS[node]
    if is_head(node):
        return f"blocks.{layer_of(node)}.attn.hook_result[{head_index(node)}]"
    return f"blocks.{layer_of(node)}.hook_mlp_out"


def receiver_hook(edge: Edge, config: ModelConfig) -> str:
    """Names the hook of the input that an edge enters."""
    if edge.receiver == LOGITS:
        # After the last layer only the logits read the residual stream.
        return f"blocks.{config.n_layers - 1}.hook_resid_post"
    layer = layer_of(edge.receiver)
    if is_head(edge.receiver):
        return f"blocks.{layer}.hook_{edge.slot}_input[{head_index(edge.receiver)}]"
    return f"blocks.{layer}.hook_mlp_in"


def hook_edge(edge: Edge, config: ModelConfig) -> str:
    """Writes an edge as `<hook of the sender> -> <hook of the receiver>`."""
    return f"{sender_hook(edge.sender)}{ARROW}{receiver_hook(edge, config)}"


def edges_by_hooks(config: ModelConfig) -> dict[str, Edge]:
    """Lists every edge of an architecture by its hook names: the inverse of `hook_edge`."""
    return {hook_edge(edge, config): edge for edge in edges(config)}
