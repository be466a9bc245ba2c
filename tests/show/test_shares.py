"""Both shares of a part: numbers worked out by hand, each beside what it is counted in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from siit.certificate import Certificate
from siit.certificate.certificate import Effect
from siit.graph.architecture import Edge, ModelConfig
from siit.graph.circuit import Circuit
from siit.show.effects import Effects
from siit.show.shares import part_rows
from tests.builders import handmade

CONFIG = ModelConfig(n_layers=2, n_heads=1, d_model=4, d_head=4, d_mlp=4, n_ctx=3, d_vocab=3, d_vocab_out=2)
CARRIES = {
    Edge("tok_embed", "a0.h0", "k"): "tokens->pair<k>",
    Edge("a0.h0", "m0"): None,
    Edge("m0", "logits"): "pair->output",
}
CIRCUIT = Circuit(CONFIG, {"pair": ("a0.h0", "m0")}, CARRIES)
EFFECTS = Effects(
    nodes={"tok_embed": 0.25, "pos_embed": 0.0, "a0.h0": 0.004, "m0": 0.5},
    edges=dict.fromkeys(CARRIES, 0.25),
    replacement="source",
    pairs=100,
    scored=1200,
    permuted=False,
)


def how(positions: int, *, by: str = "exchange", measure: str = "output") -> dict[str, Any]:
    return {"by": by, "measure": measure, "positions": positions}


def certificate(effect: Effect | None) -> Certificate:
    details = {
        "effect": {
            "edges": {"tokens->pair<k>": how(4321, by="zero"), "pair->output": how(600)},
            "nodes": {"a0.h0": how(600, measure="logits"), "m0": how(600, measure="logits")},
        }
    }
    return dataclasses.replace(handmade.certificate(), effect=effect, details=details)


def test_each_share_has_its_denominator():
    edges = {"tokens->pair<k>": 0.5, "pair->output": 1.0}
    effect = Effect(units={"pair": 1.0}, edges=edges, nodes={"a0.h0": 2.5, "m0": 0.125})
    assert part_rows(CIRCUIT, certificate(effect), EFFECTS) == [
        ("tok_embed", "", "25 % of 1,200", "–"),
        ("pos_embed", "", "0 % of 1,200", "–"),
        ("a0.h0", "pair", "<1 % of 1,200", "logits change by 2.5 at 600"),
        ("m0", "pair", "50 % of 1,200", "logits change by 0.125 at 600"),
        ("tok_embed->a0.h0<k>", "tokens->pair<k>", "25 % of 1,200", "50 % of 4,321, replaced by zero"),
        ("a0.h0->m0", "within pair", "25 % of 1,200", "–"),
        ("m0->logits", "pair->output", "25 % of 1,200", "100 % of 600"),
    ]


def test_what_screening_spared_is_said():
    rows = part_rows(CIRCUIT, certificate(None), EFFECTS)
    assert [row[3] for row in rows] == ["–", "–", *["not measured"] * 3, "–", "not measured"]


def test_a_certificate_that_does_not_say_how_it_measured():
    effect = Effect(units={}, edges={}, nodes={"a0.h0": 1.0})
    with pytest.raises(KeyError):
        part_rows(CIRCUIT, dataclasses.replace(certificate(effect), details={}), EFFECTS)
