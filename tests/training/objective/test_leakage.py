"""Leakage: against a computation read by read and edge by edge, and where it reaches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from siit.graph.architecture import LOGITS, Edge, depth, edges
from siit.training.objective import Objective, Term
from siit.training.objective.draws import InterchangeDraw, OffCircuitDraw
from siit.training.objective.leakage import LEAST, SCALE, Leakage
from siit.transformer import Transformer
from tests.builders import objectives

PLAIN = {"plain": Term(interchange=InterchangeDraw(none=1.0, unit=0.0, edge=0.0), off_circuit=OffCircuitDraw(none=1.0))}


def shaken(config: Any) -> Transformer:
    """Makes a transformer in double precision none of whose weights is 0 or 1."""
    model = Transformer(config, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator).double())
    return model


@pytest.mark.parametrize("normalization", ["LN", None])
def test_it_is_what_edges_say_each_by_itself(normalization: str | None):
    task = objectives.task_of("reverse")
    circuit = objectives.interchanges_of(task, normalization_type=normalization).labels.circuit
    model, pairs = shaken(circuit.config), objectives.pairs_of(task, 6, seed=0)
    run = model.run(pairs.source)
    senders = [edge.sender for edge in edges(circuit.config) if edge.receiver == LOGITS]
    outputs = dict(zip(senders, run.senders, strict=True))
    real = pairs.source <= len(task.model.vocab)
    leakage = Leakage(circuit, senders)
    parameters = dict(model.named_parameters())
    d_model = circuit.config.d_model
    without_mean = torch.eye(d_model, dtype=torch.float64) - 1 / d_model
    found = dict(zip(leakage.reads, leakage.of(model, run.senders, real), strict=True))

    assert set(found) == {
        (edge.receiver, edge.slot) for edge in edges(circuit.config) if edge.receiver not in circuit.off_nodes
    }
    for (receiver, slot), value in found.items():
        weight, bias = model.reading(receiver, slot)
        into = [edge for edge in edges(circuit.config) if (edge.receiver, edge.slot) == (receiver, slot)]
        said = {edge: outputs[edge.sender][real] for edge in into}
        constant = torch.zeros(d_model, dtype=torch.float64)
        for layer in range(circuit.config.n_layers):
            if depth(receiver) > (layer, 0):
                constant = constant + parameters[f"blocks.{layer}.attn.b_O"]

        def shares(weight: Tensor, said: dict[Edge, Tensor], constant: Tensor) -> tuple[Any, Any]:
            power = {edge: (output @ weight).square().sum(-1).mean() for edge, output in said.items()}
            off = sum(value for edge, value in power.items() if edge in circuit.off_edges)
            on = sum(value for edge, value in power.items() if edge not in circuit.off_edges)
            return off, on + (constant @ weight).square().sum()

        off, on = shares(weight, said, constant)
        if normalization is None:
            torch.testing.assert_close(value, off / (on + bias.square().sum() + LEAST))
            continue
        total = torch.stack(list(said.values())).sum(0) + constant
        gain = (1 / (total.var(-1, correction=0) + circuit.config.eps)).mean()
        expected = off * gain / (on * gain + bias.square().sum() + LEAST)
        if any(edge not in circuit.off_edges for edge in into):
            off, on = shares(without_mean, said, constant)
            expected = expected + SCALE * off / (on + LEAST)
        torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("normalization", ["LN", None])
def test_a_reading_is_what_the_model_reads(normalization: str | None):
    """The logits are the reading of what all have written, which LayerNorm divides by its standard deviation."""
    task = objectives.task_of("reverse")
    config = objectives.interchanges_of(task, normalization_type=normalization).labels.circuit.config
    model, tokens = shaken(config), objectives.pairs_of(task, 4, seed=0).base
    run = model.run(tokens)
    stream = torch.stack(run.senders).sum(0) + model.constants()[-1]
    if normalization:
        stream = stream / (stream.var(-1, keepdim=True, correction=0) + config.eps).sqrt()
    weight, bias = model.reading(LOGITS, None)
    torch.testing.assert_close(stream @ weight + bias, run.logits)


def test_where_nothing_off_the_circuit_is_said_there_is_none():
    interchanges = objectives.handmade_interchanges()
    circuit = interchanges.labels.circuit
    senders = [edge.sender for edge in edges(circuit.config) if edge.receiver == LOGITS]
    leakage = Leakage(circuit, senders)
    pairs = objectives.handmade_pairs(4, seed=0)
    model = Transformer(circuit.config, seed=0)
    silent = [torch.zeros_like(output) for output in model.run(pairs.base).senders]
    real = torch.ones_like(pairs.base, dtype=torch.bool)
    assert not leakage.of(model, silent, real).any()


def test_the_objective_adds_its_mean_and_it_reaches_who_speaks_and_who_reads():
    interchanges = objectives.handmade_interchanges()
    circuit = interchanges.labels.circuit
    plain = Objective(interchanges, {"edge": Term()}, source_gradient=True)
    objective = Objective(interchanges, {"edge": Term()}, source_gradient=True, leakage_weight=0.5)
    model = Transformer(circuit.config, seed=0)
    pairs = objectives.handmade_pairs(8, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), True)
    step, without = objective.evaluate(model, pairs, drawn), plain.evaluate(model, pairs, drawn)
    assert "leakage" not in without.losses
    expected = objective.leakage.of(model, model.run(pairs.source, drawn.source_positions).senders, pairs.source <= 2)
    torch.testing.assert_close(step.losses["leakage"], expected.mean())
    torch.testing.assert_close(step.loss, without.loss + 0.5 * expected.mean())
    step.losses["leakage"].backward()
    parameters = dict(model.named_parameters())
    speaker, reader = parameters["blocks.0.mlp.W_out"].grad, parameters["blocks.1.attn.W_Q"].grad
    assert speaker is not None and speaker.any() and reader is not None and reader[0].any()


def test_it_is_measured_where_nothing_is_patched_too():
    """A factor that is asked for is never ignored: with it there is a source run whatever the terms say."""
    interchanges = objectives.handmade_interchanges()
    model, pairs = Transformer(interchanges.labels.circuit.config, seed=0), objectives.handmade_pairs(8, seed=0)
    objective = Objective(interchanges, PLAIN, source_gradient=False, leakage_weight=1.0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    step = objective.evaluate(model, pairs, drawn)
    assert step.losses["leakage"] > 0 and step.losses["leakage"].requires_grad


def test_a_larger_batch_gives_the_same_where_it_repeats():
    """It is measured on the first examples, which are steady."""
    interchanges = objectives.handmade_interchanges()
    model = Transformer(interchanges.labels.circuit.config, seed=0)
    senders = [edge.sender for edge in edges(model.config) if edge.receiver == LOGITS]
    leakage = Leakage(interchanges.labels.circuit, senders)
    tokens = objectives.handmade_pairs(4, seed=0).base
    few, many = (
        leakage.of(model, model.run(batch).senders, torch.ones_like(batch, dtype=torch.bool))
        for batch in (tokens, tokens.repeat(20, 1))
    )
    torch.testing.assert_close(few, many)
