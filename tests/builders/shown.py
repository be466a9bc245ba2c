"""Makes models to be shown: full of scripts, with random weights, or with a large circuit of units of several nodes."""

from __future__ import annotations

import dataclasses
import json

import torch

from siit.bundle import Bundle, Vocab
from siit.graph.architecture import LOGITS, POS_EMBED, TOK_EMBED, Edge, ModelConfig, Slot, depth, is_head
from siit.graph.circuit import Circuit
from tests.builders import handmade
from tests.builders.bundles import make_bundle, make_evidence

EVIL = "<script src='http://x.test/x.js'>alert(1)</script>\"$\\frac{1}$\x1b[31m"


def evil_bundle() -> Bundle:
    """Makes the hand-made model with a script in every text that a bundle can hold."""
    bundle = handmade.bundle()

    def evil(name: str) -> str:
        return name.replace("is_x", EVIL)

    circuit = Circuit(
        config=bundle.config,
        alignment={evil(unit): nodes for unit, nodes in bundle.circuit.alignment.items()},
        carries={edge: evil(name or "") for edge, name in bundle.circuit.carries.items()},
        roles={"m0": EVIL, "a1.h0": EVIL, "logits": EVIL},
        programs={"a1.h0": EVIL},
        excluded={EVIL: EVIL},
        idle={str(bundle.circuit.off_edges[0]): EVIL},
    )
    return dataclasses.replace(
        bundle,
        circuit=circuit,
        case=EVIL,
        vocab=Vocab((EVIL, "x", "BOS" + EVIL), 2, None, (EVIL, True)),
        evidence={evil(name): tensor for name, tensor in bundle.evidence.items()},
        certificate=json.loads(
            json.dumps(bundle.certificate).replace('"is_x', f'"{json.dumps(EVIL)[1:-1]}').replace("m0->", "m0<i>")
        ),
    )


def random_bundle(*, numerical: bool, normalized: bool = True) -> Bundle:
    """Makes a model with random weights, in which everything changes the answers."""
    config = ModelConfig(
        n_layers=2,
        n_heads=2,
        d_model=8,
        d_head=4,
        d_mlp=16,
        n_ctx=5,
        d_vocab=5,
        d_vocab_out=1 if numerical else 4,
        normalization_type="LN" if normalized else None,
    )
    circuit = Circuit(
        config,
        {"first": ("a0.h0", "a0.h1", "m0"), "second": ("m1",)},
        {
            Edge(TOK_EMBED, "a0.h0", "k"): "tokens->first<k+v>",
            Edge(TOK_EMBED, "a0.h0", "v"): "tokens->first<k+v>",
            Edge(POS_EMBED, "a0.h1", "q"): "indices->first<q>",
            Edge("a0.h0", "m0"): None,
            Edge("a0.h1", "m0"): None,
            Edge("m0", "m1"): "first->second",
            Edge("m1", LOGITS): "second->output",
        },
    )
    evidence = make_evidence(config, circuit, torch.Generator().manual_seed(1), rows=40)
    generator = torch.Generator().manual_seed(2)
    order = torch.rand(40, config.n_ctx - 1, generator=generator).argsort(-1) + 1
    evidence["source_positions"] = torch.cat([torch.zeros(40, 1, dtype=torch.int64), order], -1)
    bundle = make_bundle(config=config, circuit=circuit, evidence=evidence)
    # Biases alone would decide most answers.
    unbiased = {
        name: tensor * 0 if name.rpartition(".")[2].startswith("b") else tensor
        for name, tensor in bundle.parameters.items()
    }
    return dataclasses.replace(bundle, parameters=unbiased)


def large_circuit(n_layers: int = 12, n_heads: int = 12) -> Circuit:
    """Makes units of two heads and an MLP, edges within them, and edges that carry several slots."""
    config = ModelConfig(
        n_layers=n_layers, n_heads=n_heads, d_model=8, d_head=4, d_mlp=8, n_ctx=24, d_vocab=20, d_vocab_out=5
    )
    last = n_layers - 1
    alignment = {
        "duplicate": ("a0.h0", f"a0.h{n_heads - 1}", "m0"),
        "previous+position": (f"a{last}.h0", f"a{last}.h1"),
        "answer": (f"m{last}",),
    }
    carries: dict[Edge, str | None] = {}

    def link(senders: tuple[str, ...], receivers: tuple[str, ...], name: str | None, slots: tuple[Slot, ...]) -> None:
        for sender in senders:
            for receiver in receivers:
                if depth(sender) < depth(receiver):
                    for slot in slots if is_head(receiver) else (None,):
                        carries[Edge(sender, receiver, slot)] = name

    for nodes in alignment.values():
        link(nodes, nodes, None, ("q", "k", "v"))
    duplicate, previous, answer = alignment.values()
    link((TOK_EMBED,), duplicate, "tokens->duplicate<k+q+v>", ("q", "k", "v"))
    link((POS_EMBED,), previous, "indices->previous<q+k>", ("q", "k"))
    link(duplicate, previous, "duplicate->previous<v>", ("v",))
    link(previous, answer, "previous->answer", ())
    link(answer, (LOGITS,), "answer->output", ())
    roles = dict.fromkeys(duplicate, "finds the token's earlier occurrence " * 12)
    heads = [node for node in duplicate if is_head(node)]
    return Circuit(config, alignment, carries, roles, programs=dict.fromkeys(heads, "looks at what is equal " * 12))


def large_bundle(n_layers: int = 12, n_heads: int = 12) -> Bundle:
    """Makes the large circuit with random weights and long words, some of them padding."""
    circuit = large_circuit(n_layers, n_heads)
    evidence = make_evidence(circuit.config, circuit, torch.Generator().manual_seed(0), rows=4)
    words = (
        "giraffe",
        "elephant",
        "$x_1$",
        "日本",
        "extraordinarily_long",
        7,
        "7",
        7.5,
        True,
        *"abcdefghi",
        "BOS",
        "PAD",
    )
    return make_bundle(
        config=circuit.config, circuit=circuit, evidence=evidence, vocab=Vocab(words, 18, 19, (None, "a", True, 3, "b"))
    )
