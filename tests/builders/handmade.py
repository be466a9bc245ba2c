"""Makes a transformer with weights written by hand, its true circuit, all the evidence there is, and its bundle.

The task: was the previous token an x? `is_x` (m0) tells at each position whether its token is an x, `prev` (a1.h0)
copies that from the position before, and the answer is `prev`. Inputs are BOS and four tokens, x or not; positions 2 to
4 are scored. All 16 x 16 pairs of inputs are the evidence, so every number can be worked out by hand.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siit.bundle import Bundle, Vocab, write_bundle
from siit.causal import Aggregate, CausalModel, Selection, Table, Variable
from siit.certificate import Answers, Certificate, measure
from siit.graph.architecture import Edge, ModelConfig
from siit.graph.circuit import Circuit
from siit.interchange import derive_labels

TOKEN, POSITION, IS_X, PREV, BIAS = 0, 3, 8, 9, 10
"""Dimensions of the residual stream: one-hot token (3), one-hot position (5), and what components write."""
X, BOS = 1, 2
CONFIG = ModelConfig(
    n_layers=2,
    n_heads=3,
    d_model=11,
    d_head=6,
    d_mlp=2,
    n_ctx=5,
    d_vocab=3,
    d_vocab_out=2,
    act_fn="relu",
    normalization_type=None,
)
CARRIES = {
    Edge("tok_embed", "m0"): "tokens->is_x",
    Edge("pos_embed", "a1.h0", "q"): "indices->prev<q>",
    Edge("pos_embed", "a1.h0", "k"): "indices->prev<k>",
    Edge("m0", "a1.h0", "v"): "is_x->prev<v>",
    Edge("a1.h0", "logits"): "prev->output",
}
PAIRS, SCORED = 256, 256 * 3


def causal_model() -> CausalModel:
    """Builds the program: was the token before this one an x?"""
    is_x = Variable("is_x", (False, True), Table(("tokens",), torch.tensor([0, 1, -1])), "is it an x")
    # The last row and column are those of the undefined index, which BOS has.
    one_less = torch.diag(torch.ones(4, dtype=torch.int8), -1)
    one_less[4] = 0
    selection = Selection("indices", "indices", one_less, causal=True, valid=False)
    prev = Variable("prev", (False, True), Aggregate(selection, "is_x", None), "looks at the one before")
    return CausalModel(("a", "x"), 4, [is_x, prev])


LABELS = derive_labels(causal_model(), CONFIG, {"is_x": ("m0",), "prev": ("a1.h0",)})
CIRCUIT = LABELS.circuit
INPUTS = {"type": "tokens", "min_len": 4, "causal": True, "sampler": "uniform", "balanced": False, "rearranged": False}
"""All inputs have one length, so that there is no PAD."""


def parameters(config: ModelConfig = CONFIG) -> dict[str, Tensor]:
    """Writes the model's weights; class 1 wins where `prev` exceeds 0.5, and a numerical output is `prev` itself."""
    weights = {name: torch.zeros(shape) for name, shape in config.parameter_shapes().items()}
    weights["embed.W_E"][:, TOKEN : TOKEN + 3] = torch.eye(3)
    weights["pos_embed.W_pos"][:, POSITION : POSITION + 5] = torch.eye(5)
    weights["blocks.0.mlp.W_in"][TOKEN + X, 0] = 1
    weights["blocks.0.mlp.W_out"][0, IS_X] = 1
    copy_previous(weights, 0, IS_X)
    if config.d_vocab_out == 2:
        weights["unembed.W_U"][PREV, 1] = 1
        weights["unembed.b_U"][0] = 0.5
    else:
        weights["unembed.W_U"][PREV, 0] = 1
    return weights


def copy_previous(weights: dict[str, Tensor], head: int, dimension: int) -> None:
    """Lets a head of layer 1 copy a dimension from the position before to PREV."""
    for place in range(5):
        weights["blocks.1.attn.W_Q"][head, POSITION + place, place] = 20
        weights["blocks.1.attn.W_K"][head, POSITION + place, place + 1] = 20
    weights["blocks.1.attn.W_V"][head, dimension, 0] = 1
    weights["blocks.1.attn.W_O"][head, 0, PREV] = 1


def high_level(is_x: Tensor, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the answers and where they are scored: is_x at the slot before, by position ids, up to here."""
    visible = torch.ones(5, 5, dtype=torch.bool).tril()
    visible[:, 0] = False  # BOS is never selected
    selected = (key.unsqueeze(1) == query.unsqueeze(2) - 1) & visible
    scored = selected.any(2)
    return (selected & is_x.unsqueeze(1)).any(2).long(), scored


def evidence() -> dict[str, Tensor]:
    """Makes all pairs, with the answers under every interchange."""
    inputs = torch.tensor([(BOS, *tokens) for tokens in itertools.product((0, X), repeat=4)])
    base, source = inputs.repeat_interleave(16, 0), inputs.repeat(16, 1)
    own = torch.arange(5).expand(PAIRS, 5)
    order = torch.rand(2, PAIRS, 4, generator=torch.Generator().manual_seed(0)).argsort(-1) + 1
    moved, moved_off = torch.cat([torch.zeros(2, PAIRS, 1, dtype=torch.int64), order], -1)
    runs = {
        "base_": high_level(base == X, own, own),
        "source_": high_level(source == X, own, own),
        "do/indices->prev<q>/": high_level(base == X, moved, own),
        "do/indices->prev<k>/": high_level(base == X, own, moved),
    }
    for name in ("is_x", "prev", "tokens->is_x", "is_x->prev<v>", "prev->output"):
        runs[f"do/{name}/"] = runs["source_"]
    tensors = {"base_tokens": base, "source_tokens": source, "source_positions": moved_off}
    for prefix, (target, scored) in runs.items():
        tensors |= {f"{prefix}target": target, f"{prefix}scored": scored}
    for slot in "qk":
        tensors[f"do/indices->prev<{slot}>/source_positions"] = moved
    return tensors


def certify(
    weights: dict[str, Tensor] | None = None,
    circuit: Circuit = CIRCUIT,
    tensors: dict[str, Tensor] | None = None,
    **changes: Any,
) -> Certificate:
    """Measures the model, or what a test has made of it."""
    options: dict[str, Any] = {"answers": Answers("categorical", None), "exhaustive": True, "subsets": 5}
    return measure(
        circuit.config,
        parameters(circuit.config) if weights is None else weights,
        circuit,
        evidence() if tensors is None else tensors,
        **{**options, **changes},
    )


@functools.cache
def certificate() -> Certificate:
    """Measures the model as it is made by hand."""
    return certify(subsets=100)


def first_kind(found: Certificate, circuit: Circuit = CIRCUIT) -> dict[str, Any]:
    """Writes what an earlier version would have written of a model whose measured edges are all 1."""
    data = {name: value for name, value in found.to_json().items() if name != "strict_adversarial"}
    details = {name: value for name, value in data["details"].items() if name not in ("by_kind", "strict_adversarial")}
    edges = {str(edge): 1.0 for edge in circuit.off_edges_of_members}
    data["details"] = {**details, "strict_edge": edges, "strict_edge_zero": {}}
    data["bars"] = {name: bar for name, bar in data["bars"].items() if name != "strict_adversarial"}
    scored = {name: count for name, count in data["evidence"]["scored"].items() if name != "strict_adversarial"}
    data["evidence"] = {**data["evidence"], "scored": scored}
    return {**data, "format": "siit-certificate/1"}


def broken() -> dict[str, Tensor]:
    """Writes weights with which an edge off the circuit does harm."""
    weights = parameters()
    weights["blocks.1.attn.W_V"][0, TOKEN + 1, 0] = 0.8
    return weights


def untested() -> dict[str, Tensor]:
    """Writes weights of which no node and no edge between members does harm, and an edge into an off-circuit node does.

    m1 tells whether a position after BOS has no token. That never is so, unless `tok_embed->m1` is replaced by zero.
    """
    weights = parameters()
    weights["blocks.1.mlp.W_in"][POSITION + 1 : POSITION + 5, 0] = 1
    weights["blocks.1.mlp.W_in"][[TOKEN, TOKEN + X], 0] = -1
    weights["blocks.1.mlp.W_out"][0, PREV] = 5
    return weights


MANY = dataclasses.replace(CONFIG, n_heads=11)
MANY_CIRCUIT = derive_labels(causal_model(), MANY, {"is_x": ("m0",), "prev": ("a1.h0",)}).circuit


def conspiring() -> dict[str, Tensor]:
    """Writes weights of `MANY` that only an adversary can make wrong.

    Ten heads push the answer one way, ten the other way, a little each: together they do nothing. Replaced by zero, all
    of one side move it by 0.6, and 0.5 is enough.
    """
    weights = parameters(MANY)
    for head in range(1, 11):
        for layer, push in ((0, 0.06), (1, -0.06)):
            weights[f"blocks.{layer}.attn.b_V"][head, 0] = push
            weights[f"blocks.{layer}.attn.W_O"][head, 0, BIAS] = 1
    weights["unembed.W_U"][BIAS, 1] = 1
    return weights


def bundle(**changes: Any) -> Bundle:
    """Makes the whole bundle, with its true certificate unless another is given; it certifies in a second."""
    whole = Bundle(
        config=CONFIG,
        case="previous_is_x",
        seed=0,
        answers=Answers("categorical", None),
        parameters=parameters(),
        vocab=Vocab(("a", "x", "BOS"), 2, None, (False, True)),
        circuit=CIRCUIT,
        causal_model={**causal_model().to_json(), "inputs": INPUTS},
        evidence=evidence(),
        exhaustive=True,
        certificate=certificate().to_json(),
        train_yaml="case: previous_is_x\n",
    )
    return dataclasses.replace(whole, **changes)


def put(root: Path, **changes: Any) -> Path:
    """Writes the bundle, with what a test has made of it, and gives its folder."""
    return write_bundle(root, bundle(**changes), allow_uncertified=True, overwrite=True)
