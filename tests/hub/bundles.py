"""The hand-made model of the certificate's tests as a whole bundle, which certifies in a second."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siit.bundle import Bundle, Vocab, write_bundle
from siit.causal import Aggregate, CausalModel, Selection, Table, Variable
from siit.certificate import Answers, Certificate
from tests.certificate import handmade

FALSE, TRUE, UNDEFINED = 0, 1, -1


def causal_model() -> CausalModel:
    """Was the token before this one an x?"""
    previous = torch.zeros(5, 5, dtype=torch.int8)
    for position in range(1, 4):
        previous[position, position - 1] = 1
    selection = Selection("indices", "indices", previous, causal=True, valid=False)
    return CausalModel(
        ("a", "x"),
        4,
        [
            Variable("is_x", (False, True), Table(("tokens",), torch.tensor([FALSE, TRUE, UNDEFINED])), "is it an x"),
            Variable("prev", (False, True), Aggregate(selection, "is_x", None), "was the one before an x"),
        ],
    )


@functools.cache
def certificate() -> Certificate:
    """What is measured of the model as it is made by hand."""
    return handmade.certify(subsets=100)


def broken() -> dict[str, Tensor]:
    """Weights with which an edge off the circuit does harm."""
    weights = handmade.parameters()
    weights["blocks.1.attn.W_V"][0, handmade.TOKEN + 1, 0] = 0.8
    return weights


def put(root: Path, seed: int = 0, case: str = "previous_is_x", **changes: Any) -> Path:
    """Writes the model, with what a test has made of it, and its true certificate unless another is given."""
    content: dict[str, Any] = {
        "config": handmade.CONFIG,
        "case": case,
        "seed": seed,
        "answers": Answers("categorical", None),
        "parameters": handmade.parameters(),
        "vocab": Vocab(("a", "x", "BOS"), 2, None, (False, True)),
        "circuit": handmade.CIRCUIT,
        "causal_model": causal_model().to_json(),
        "evidence": handmade.evidence(),
        "exhaustive": True,
        "certificate": certificate().to_json(),
        "train_yaml": f"case: {case}\n",
    }
    return write_bundle(root, Bundle(**{**content, **changes}), allow_uncertified=True)
