"""Tracr twins: the outputs are Tracr's, and the labels are what the weights read."""

from __future__ import annotations

import sys
from functools import cache

import pytest
import torch
from torch import Tensor
from tracr.rasp import rasp
from tracr.transformer.encoder import CategoricalEncoder

import siit
from siit.causal import Inputs
from siit.certificate.executor import Executor
from siit.graph.architecture import Edge, edges
from siit.training.rasp.agreement import decode
from siit.training.rasp.compiled import compile_program, raw_outputs
from siit.training.rasp.from_rasp import sample_tokens
from siit.training.tracr_twin import TracrTwin
from tests.builders.programs import EVERY, own
from tracr_cases import Case, get

FAMILIES = ("reverse", "open_minus_close_fraction", "sort_digits", "bigram_count", "detect_abc", "balanced_depth")
QUICK = "histogram"


@cache
def twin(name: str) -> TracrTwin:
    return siit.tracr_twin(name)


def inputs(program: Case, count: int = 64) -> Tensor:
    """Draws inputs of all lengths, with padding."""
    return sample_tokens(program, count, torch.Generator().manual_seed(1))


def check_parity(program: Case, made: TracrTwin) -> None:
    """Compares a twin with Tracr's own model, run by JAX, and with the causal model."""
    tokens = inputs(program)
    compiled = compile_program(program)
    theirs = torch.tensor(raw_outputs(compiled, [decode(program, row) for row in tokens], program.max_len))
    logits = made.model(tokens).detach()
    classes, encoder = made.vocab.classes, compiled.output_encoder
    ours = logits
    if classes is not None:
        assert isinstance(encoder, CategoricalEncoder)
        written = [index for index, value in enumerate(classes) if value is not None]
        ours, theirs = logits[..., written], theirs[..., [encoder.encoding_map[classes[i]] for i in written]]
    # Where attention is causal, Tracr masks padding for padding only; elsewhere all positions agree.
    compared = tokens < len(program.vocab) if program.causal else torch.ones_like(tokens, dtype=torch.bool)
    torch.testing.assert_close(ours[compared], theirs[compared], atol=1e-4, rtol=1e-4)
    run = made.causal_model.run(Inputs(tokens))
    assert bool(made.answers.same(made.answers.of(logits), run.output)[run.scored].all())


@pytest.mark.parametrize("name", ["frac_prevs", QUICK])
def test_the_outputs_are_tracrs(name: str):
    check_parity(get(name), twin(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_outputs_are_tracrs_in_other_families(name: str):
    check_parity(get(name), twin(name))


@pytest.mark.parametrize("name", EVERY)
def test_the_outputs_are_tracrs_in_all_cases(name: str):
    check_parity(get(name), siit.tracr_twin(name))


def test_none_is_answered_where_no_class_is_written():
    def drop_a() -> rasp.SOp:
        return rasp.Map(lambda token: None if token == "a" else token, rasp.tokens).named("drop_a")

    made = siit.tracr_twin(own(drop_a, "abc", 3, none_is_answer=True, name="drop_a"))
    assert made.predict([["a", "b", "c"], ["b", "a", "a"]]) == [[None, "b", "c"], ["b", None, None]]


def test_the_labels_of_frac_prevs():
    """By hand: an MLP tells x from other tokens, and a head averages that over the positions so far."""
    circuit = twin("frac_prevs").circuit
    assert circuit.alignment == {"is_x": ("m0",), "frac_prevs": ("a1.h0",)}
    assert {str(edge): name for edge, name in circuit.carries.items()} == {
        "tok_embed->m0": "tokens->is_x",
        "pos_embed->a1.h0<q>": "indices->frac_prevs<q>",
        "tok_embed->a1.h0<k>": "tokens->frac_prevs<k>",  # which token is BOS
        "pos_embed->a1.h0<k>": "indices->frac_prevs<k>",
        "m0->a1.h0<v>": "is_x->frac_prevs<v>",
        "a1.h0->logits": "frac_prevs->output",
    }


def test_the_labels_of_a_selector_width():
    """The head leaves a share of its attention on BOS; the MLP decodes it, and tidies up at BOS, which it reads."""
    circuit = twin(QUICK).circuit
    head = circuit.alignment["histogram_share"]
    assert head == ("a0.h0",) and circuit.alignment["histogram"] == ("m0",)
    assert Edge("tok_embed", "m0") in circuit.carries and Edge("a0.h0", "m0") in circuit.carries


@pytest.mark.parametrize("name", ["frac_prevs", QUICK])
def test_other_edges_carry_nothing(name: str):
    """Whatever is put into all of them at once, the answers stay."""
    made = twin(name)
    tokens = inputs(get(name), 16)
    executor = Executor(made.config, made.model.state_dict())
    run = made.model.run(tokens)
    outputs, replacement = torch.stack(run.senders), torch.stack(made.model.run(tokens.flip(0)).senders)
    for kind in (replacement, torch.zeros_like(replacement)):
        masks = torch.tensor([float(edge not in made.circuit.carries) for edge in edges(made.config)])
        final = executor.masked(outputs[:2], kind, masks)
        torch.testing.assert_close(executor.logits(final), run.logits, atol=1e-5, rtol=0)


def test_in_transformer_lens():
    pytest.importorskip("transformer_lens")
    made = twin(QUICK)
    hooked = made.to_hooked_transformer()
    tokens = inputs(get(QUICK), 16)
    torch.testing.assert_close(hooked(tokens), made.model(tokens), atol=1e-4, rtol=0)


def test_it_says_what_it_is():
    made = twin("frac_prevs")
    assert made.predict(["x", "a", "x"]) == pytest.approx([1.0, 0.5, 2 / 3], abs=1e-4)
    assert repr(made).startswith("TracrTwin(frac_prevs: 2 layers of 1 heads, d_model 13, causal; Circuit(6 edges; ")
    assert made.tier == "composed" and "tokens:x" in made.directions and made.extra_files == {}


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tracr", None)
    with pytest.raises(ImportError, match=r"^tracr_twin: found no tracr, accepted is what the extra 'train' installs"):
        siit.tracr_twin("frac_prevs")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("ioi", ValueError, "found 'ioi', which is no RASP program"),
        ("frac_prev", KeyError, "did you mean frac_prevs"),
    ],
)
def test_cases_that_have_none(name: str, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        siit.tracr_twin(name)
