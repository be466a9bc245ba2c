"""Writes folders as InterpBench publishes them, around weights that compute the fraction of x so far.

Token ids are Tracr's: BOS, PAD, a, b, c, x. `is_x` is on m0, `frac_prevs` on a1.h2: it attends from each position to
the positions from 1 up to there, which it knows from the position embeddings, and averages `is_x`.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from siit.graph.architecture import ModelConfig

BOS, PAD, X = 0, 1, 5
CONFIG = ModelConfig(
    n_layers=2,
    n_heads=4,
    d_model=13,
    d_head=5,
    d_mlp=2,
    n_ctx=5,
    d_vocab=6,
    d_vocab_out=1,
    act_fn="relu",
    normalization_type=None,
)
IS_X, ANSWER = 11, 12
"""Dimensions after the one-hot tokens (6) and positions (5)."""
EDGES = [
    ("hook_embed", "blocks.0.hook_mlp_in"),
    ("blocks.0.hook_mlp_in", "blocks.0.hook_mlp_out"),
    ("blocks.0.hook_mlp_out", "blocks.1.hook_v_input[2]"),
    ("hook_pos_embed", "blocks.1.hook_q_input[2]"),
    ("hook_pos_embed", "blocks.1.hook_k_input[2]"),
    *[(f"blocks.1.hook_{slot}_input[2]", f"blocks.1.attn.hook_{slot}[2]") for slot in "qkv"],
    *[(f"blocks.1.attn.hook_{slot}[2]", "blocks.1.attn.hook_result[2]") for slot in "qkv"],
    ("blocks.1.attn.hook_result[2]", "blocks.1.hook_resid_post"),
]
"""The true circuit, with the edges within its components."""
META = {"lr": 0.001, "iit_weight": 1.0, "behavior_weight": 1.0, "strict_weight": 0.4, "seed": 67}


def weights() -> dict[str, Tensor]:
    """Writes the model, with the buffers that HookedTransformer keeps beside its parameters."""
    state = {name: torch.zeros(shape) for name, shape in CONFIG.parameter_shapes().items()}
    state["embed.W_E"][:, :6] = torch.eye(6)
    state["pos_embed.W_pos"][:, 6:11] = torch.eye(5)
    state["blocks.0.mlp.W_in"][X, 0] = state["blocks.0.mlp.W_out"][0, IS_X] = 1
    for query in range(5):
        for key in range(1, query + 1):
            state["blocks.1.attn.W_Q"][2, 6 + query, key] = 50
    state["blocks.1.attn.W_K"][2, 6:11] = torch.eye(5)
    state["blocks.1.attn.W_V"][2, IS_X, 0] = state["blocks.1.attn.W_O"][2, 0, ANSWER] = 1
    state["unembed.W_U"][ANSWER, 0] = 1
    for layer in range(2):
        state[f"blocks.{layer}.attn.mask"] = torch.ones(5, 5, dtype=torch.bool).tril()
        state[f"blocks.{layer}.attn.IGNORE"] = torch.tensor(-torch.inf)
    return state


def fields(**changes: Any) -> dict[str, Any]:
    """Makes a configuration as HookedTransformerConfig's `to_dict` does: numpy floats and a dtype among the values."""
    return {
        **CONFIG.to_json(),
        "attn_scale": np.float64(np.sqrt(CONFIG.d_head)),
        "initializer_range": np.float64(0.8 / np.sqrt(CONFIG.d_model)),
        "use_attn_scale": True,
        "dtype": torch.float32,
        "device": "cpu",
        "seed": 0,
        "tokenizer_name": None,
        "n_params": 1 << 33,
        **changes,
    }


def write(
    folder: Path,
    *,
    state: Any = None,
    config: Any = None,
    edges: Any = None,
    meta: Any = None,
    names: Sequence[str] = ("ll_model.pth", "ll_model_cfg.pkl", "edges.pkl", "meta.json"),
) -> Path:
    """Writes a folder with all four files; bytes are written as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(weights() if state is None else state, folder / names[0])
    for name, content in ((names[1], fields() if config is None else config), (names[2], edges or EDGES)):
        (folder / name).write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    (folder / names[3]).write_text(json.dumps(META if meta is None else meta))
    return folder
