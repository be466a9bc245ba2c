"""Auxiliary probes: their loss against hand computations, and where it reaches."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from siit.causal import CausalModel, Inputs, Lookup, Nearest, Selection, SelectionShare, Table, Variable
from siit.graph.architecture import ModelConfig
from siit.interchange.alignment import Labels, derive_labels
from siit.interchange.interventions import Interchanges
from siit.training.objective import AuxiliaryProbes, Objective, Term
from siit.transformer import Transformer
from tests.builders import handmade, objectives

CONFIG = ModelConfig(n_layers=4, n_heads=2, d_model=2, d_head=1, d_mlp=2, n_ctx=4, d_vocab=5, d_vocab_out=3)
ALIGNMENT = {
    "is_a": ("m0",),
    "weight": ("m0",),
    "twice": ("a1.h0", "a1.h1"),
    "unused": ("m2",),
    "answer": ("a3.h0",),
}
TOKENS = torch.tensor([[3, 0, 0, 1], [3, 2, 1, 4]])
"""BOS a a b; BOS c b PAD."""
IS_TOKEN = TOKENS < 3


def causal_model() -> CausalModel:
    """Of tokens a, b, c: is it an a (nothing is known of c)? A number (none for c). Is an a or b there twice?"""
    members = torch.tensor([0, 1])
    nan = math.nan
    return CausalModel(
        "abc",
        3,
        [
            Variable("is_a", (False, True), Table(("tokens",), torch.tensor([1, 0, -1, -1]))),
            Variable("weight", None, Table(("tokens",), torch.tensor([2.0, -1.0, nan, nan]))),
            Variable("twice", tuple("abc"), Lookup("tokens", "tokens", "tokens", "same", 2, members)),
            Variable("unused", (False, True), Table(("is_a",), torch.tensor([1, 0, -1]))),
            Variable("answer", tuple("abc"), Lookup(None, "twice", "twice", None, 1, members)),
        ],
    )


def labels(excluded: dict[str, str] | None = None, **alignment: tuple[str, ...]) -> Labels:
    return derive_labels(causal_model(), CONFIG, {**ALIGNMENT, **alignment}, excluded)


def auxiliary_probes(excluded: dict[str, str] | None = None) -> AuxiliaryProbes:
    return AuxiliaryProbes(causal_model(), labels(excluded), CONFIG.d_model, seed=0)


def maps(found: AuxiliaryProbes) -> list[Any]:
    return list(found.maps)


def senders(requires_grad: bool = False) -> dict[str, Tensor]:
    """What the nodes write, other numbers at every place."""
    generator = torch.Generator().manual_seed(0)
    names = ["tok_embed", "pos_embed"]
    for layer in range(4):
        names += [f"a{layer}.h0", f"a{layer}.h1", f"m{layer}"]
    return {name: torch.randn(2, 4, 2, generator=generator).requires_grad_(requires_grad) for name in names}


def cross_entropy(logits: list[float], target: int) -> float:
    return math.log(sum(map(math.exp, logits))) - logits[target]


def test_a_map_for_each_variable_of_the_circuit_but_the_answer():
    found = auxiliary_probes()
    # Two variables of one unit are read off the same node.
    assert found.nodes == {"is_a": ("m0",), "weight": ("m0",), "twice": ("a1.h0", "a1.h1"), "unused": ("m2",)}
    # Two classes; a number; three names, and that nothing is found.
    assert [linear.out_features for linear in maps(found)] == [2, 1, 4, 2]
    assert found.finds_nothing == {"twice": 3}
    without = auxiliary_probes({"unused": "never changes"})
    assert list(without.nodes) == ["is_a", "weight", "twice"]


def test_a_seed_is_its_maps():
    again, other = auxiliary_probes(), AuxiliaryProbes(causal_model(), labels(), CONFIG.d_model, seed=1)
    weights = auxiliary_probes().state_dict()
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in weights.items())
    assert not torch.equal(weights["maps.0.weight"], other.state_dict()["maps.0.weight"])
    assert weights["maps.0.bias"].tolist() == [0, 0]


def test_the_loss_by_hand():
    found = auxiliary_probes({"unused": "never changes"})
    written = senders()
    with torch.no_grad():
        for linear in maps(found):
            linear.bias.uniform_(-1, 1)

    def decoded(index: int, nodes: tuple[str, ...], row: int, slot: int) -> list[float]:
        linear = maps(found)[index]
        total = [sum(written[node][row, slot, part].item() for node in nodes) for part in range(2)]
        rows = zip(linear.weight.tolist(), linear.bias.tolist(), strict=True)
        return [sum(w * x for w, x in zip(weights, total, strict=True)) + bias for weights, bias in rows]

    # Of c it is not known whether it is an a: it does not count. Nor do BOS and padding.
    is_a = {(0, 1): 1, (0, 2): 1, (0, 3): 0, (1, 2): 0}
    weight = {(0, 1): 2.0, (0, 2): 2.0, (0, 3): -1.0, (1, 2): -1.0}
    # The second a is a repetition; at the others nothing is found, which is class 3.
    twice = {(0, 1): 3, (0, 2): 0, (0, 3): 3, (1, 1): 3, (1, 2): 3}
    losses = [
        [cross_entropy(decoded(0, ("m0",), *place), target) for place, target in is_a.items()],
        [(decoded(1, ("m0",), *place)[0] - target) ** 2 for place, target in weight.items()],
        [cross_entropy(decoded(2, ("a1.h0", "a1.h1"), *place), target) for place, target in twice.items()],
    ]
    expected = sum(sum(each) / len(each) for each in losses) / 3
    loss = found.loss(written, causal_model().run(Inputs(TOKENS)), IS_TOKEN)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_count_is_read_as_its_head_writes_it():
    """Of three slots BOS weighs three: where one token is an a, 3 / 4 of the attention is left on it."""
    is_a = Selection("tokens", "tokens", torch.tensor([[1, 0, 0, 0]] * 4, dtype=torch.int8), causal=False, valid=False)
    share = Variable("share", None, SelectionShare(is_a))
    points = torch.tensor([1 / 4, 1 / 3, 1 / 2, 1])
    count = Variable("count", (0, 1, 2, 3), Nearest("share", points, torch.tensor([3, 2, 1, 0])))
    model = CausalModel("abc", 3, [share, count])
    made = derive_labels(model, CONFIG, {"share": ("a0.h0",), "count": ("m0",)})
    found = AuxiliaryProbes(model, made, CONFIG.d_model, seed=0)
    with torch.no_grad():
        maps(found)[0].weight.zero_()
        maps(found)[0].bias.fill_(0.5)
    run = model.run(Inputs(TOKENS))
    # a a b: 3 / (3 + 2) of it three times; c b: all of it, twice.
    expected = (3 * (3 / 5 - 1 / 2) ** 2 + 2 * (1 - 1 / 2) ** 2) / 5
    assert found.loss(senders(), run, IS_TOKEN).item() == pytest.approx(expected, rel=1e-5)


def test_what_is_ambiguous_is_not_decoded():
    """Both a and b are repeated: the one repeated token is not one."""
    members = torch.tensor([0, 1])
    model = CausalModel(
        "abc",
        4,
        [
            Variable("twice", tuple("abc"), Lookup("tokens", "tokens", "tokens", "same", 2, members)),
            Variable("only", tuple("abc"), Lookup(None, "twice", "twice", None, 1, members)),
            Variable("answer", tuple("abc"), Lookup(None, "only", "only", None, 1, members)),
        ],
    )
    config = ModelConfig(n_layers=3, n_heads=1, d_model=2, d_head=1, d_mlp=2, n_ctx=5, d_vocab=5, d_vocab_out=3)
    made = derive_labels(model, config, {"twice": ("a0.h0",), "only": ("a1.h0",), "answer": ("a2.h0",)})
    found = AuxiliaryProbes(model, made, 2, seed=0)
    tokens = torch.tensor([[3, 0, 1, 0, 1]])
    run = model.run(Inputs(tokens))
    assert run.values["only"].tolist() == [[-1, -1, -1, 0, -2]]
    written = {f"a{layer}.h0": torch.zeros(1, 5, 2, requires_grad=True) for layer in range(3)}
    with torch.no_grad():
        maps(found)[1].bias.copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    found.loss(written, run, tokens < 3).backward()
    gradient = written["a1.h0"].grad
    assert gradient is not None
    # At the slots 1 to 3 nothing or a is found; what is ambiguous, and BOS, teach nothing.
    assert gradient.abs().sum(2).gt(0).tolist() == [[False, True, True, True, False]]
    assert written["a2.h0"].grad is None, "the answer is what the logits hold"


def test_the_gradient_reaches_the_nodes_alone():
    written = senders(requires_grad=True)
    found = auxiliary_probes({"unused": "never changes"})
    found.loss(written, causal_model().run(Inputs(TOKENS)), IS_TOKEN).backward()
    reached = {name for name, output in written.items() if output.grad is not None}
    assert reached == {"m0", "a1.h0", "a1.h1"}
    assert all(parameter.grad is not None for parameter in found.parameters())
    # Several nodes of one variable write it together.
    assert torch.equal(written["a1.h0"].grad, written["a1.h1"].grad)  # type: ignore[arg-type]


def test_nothing_to_decode():
    """The answer is the only variable."""
    model = CausalModel("abc", 3, [Variable("same", tuple("abc"), Table(("tokens",), torch.tensor([0, 1, 2, -1])))])
    found = AuxiliaryProbes(model, derive_labels(model, CONFIG, {"same": ("m0",)}), 2, seed=0)
    assert found.loss(senders(), model.run(Inputs(TOKENS)), IS_TOKEN).item() == 0
    nowhere = auxiliary_probes().loss(senders(), causal_model().run(Inputs(TOKENS)), torch.zeros_like(IS_TOKEN))
    assert nowhere.item() == 0


def test_the_objective_adds_their_loss():
    """Under the drawn interchanges: what a node writes there is decoded to what the variable holds there."""
    interchanges = objectives.handmade_interchanges()
    objective = Objective(interchanges, objectives.configured_terms("siit"), source_gradient=True, probe_weight=0.5)
    config = interchanges.labels.circuit.config
    model = Transformer(config, seed=0)
    found = AuxiliaryProbes(interchanges.model, interchanges.labels, config.d_model, seed=0)
    assert list(found.nodes) == ["is_x"]
    pairs = objectives.handmade_pairs(30, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), True)
    plain, step = objective.evaluate(model, pairs, drawn), objective.evaluate(model, pairs, drawn, found)
    assert "probes" not in plain.losses
    torch.testing.assert_close(step.loss, plain.loss + 0.5 * step.losses["probes"])
    source = objective.source_run(model, pairs, drawn)
    assert source is not None
    outputs = model.run(pairs.base, patch=objective.patch(model, source, drawn))
    written = dict(zip(objective.points.senders, outputs.senders, strict=True))
    run = interchanges.answers(pairs, drawn.choice, drawn.source_positions)
    torch.testing.assert_close(step.losses["probes"], found.loss(written, run, pairs.base < 2))
    interchanged = drawn.choice == 1
    assert interchanged.any() and torch.equal(
        run.values["is_x"][interchanged], interchanges.model.run(Inputs(pairs.source[interchanged])).values["is_x"]
    )
    # A node that is interchanged learns from it through the source run.
    loss = objective.evaluate(model, pairs, drawn, found).losses["probes"]
    loss.backward()
    assert model.embed.W_E.grad is not None and bool(model.embed.W_E.grad.any())


def test_a_circuit_without_probes():
    interchanges = Interchanges(handmade.causal_model(), objectives.handmade_interchanges().labels)
    objective = Objective(interchanges, {"plain": Term()}, source_gradient=True, probe_weight=1.0)
    pairs = objectives.handmade_pairs(4, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    model = Transformer(interchanges.labels.circuit.config, seed=0)
    assert set(objective.evaluate(model, pairs, drawn).losses) == {"plain"}
