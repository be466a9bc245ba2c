"""Checks that a RASP program, its causal model and Tracr's compiled model agree, before anything trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from tracr.compiler import compiling
from tracr.rasp import causal_eval

from siit.causal.from_rasp import ProgramError, sample_tokens
from siit.causal.model import CausalModel, Inputs
from tracr_cases import Case

ROUNDING = 1e-5
"""The causal model's numbers are float32."""
COMPILED_TOLERANCE = 1e-2
"""Tracr's compiled numbers are approximate: attention with a finite softmax coldness."""


def check_agreement(
    program: Case, model: CausalModel, *, samples: int = 64, seed: int = 0, compiled: bool = True
) -> None:
    """Compares the three evaluations of one program on sampled inputs of all lengths.

    Args:
        samples: number of inputs.
        compiled: whether to compile the program with Tracr (seconds) and compare with that too.

    Raises:
        ProgramError: names the input, the position and what each evaluation gives; also where a program that is
            compiled as causal looks ahead, or where RASP defines an output that the causal model does not.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens = sample_tokens(program, samples, generator)
    words = [decode(program, row) for row in tokens]
    try:
        expression = program.expression()
        expected = [list(expression(row)) for row in words]
    except Exception as error:
        raise ProgramError(f"{program.name}: RASP cannot evaluate it: {type(error).__name__}: {error}") from error
    if program.causal:
        for row, values in zip(words, expected, strict=True):
            _compare(program, row, values, list(causal_eval.evaluate(expression, row)), "RASP", "causal RASP")
    for row, values, ours in zip(words, expected, outputs(model, tokens), strict=True):
        _compare(program, row, values, ours, "RASP", "the causal model", both=True)
    if compiled:
        for row, values, theirs in zip(words, expected, run_compiled(program, words), strict=True):
            _compare(program, row, values, theirs, "RASP", "Tracr's compiled model", tolerance=COMPILED_TOLERANCE)


def decode(program: Case, row: Int[Tensor, " pos"]) -> list[Any]:
    """Token ids (BOS, tokens, padding) as the values that RASP reads."""
    return [program.vocab[token] for token in row.tolist() if token < len(program.vocab)]


def outputs(model: CausalModel, tokens: Int[Tensor, "batch pos"]) -> list[list[Any]]:
    """The causal model's output at every token, as values, None where undefined."""
    run = model.run(Inputs(tokens))
    found = []
    for row, values, scored in zip(tokens.tolist(), run.output.tolist(), run.scored.tolist(), strict=True):
        read = [
            None if not defined else value if model.classes is None else model.classes[value]
            for value, defined, token in zip(values, scored, row, strict=True)
            if token < len(model.vocab)
        ]
        found.append(read)
    return found


def run_compiled(program: Case, words: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Tracr's compiled model on many inputs, in one padded batch."""
    try:
        compiled = compiling.compile_rasp_to_model(
            program.expression(),
            vocab=set(program.vocab),
            max_seq_len=program.max_len,
            causal=program.causal,
            compiler_bos=compiling.COMPILER_BOS,
        )
    except (NotImplementedError, ValueError, TypeError, KeyError) as error:
        raise ProgramError(f"{program.name}: Tracr cannot compile it: {type(error).__name__}: {error}") from error
    encoder, decoder = compiled.input_encoder, compiled.output_encoder
    assert encoder is not None and decoder is not None

    def forward(batch: Any) -> Any:
        model = compiled.get_compiled_model()
        model.pad_token = encoder.pad_encoding  # Tracr's model can mask padding, but its assembly never asks for it
        return model(batch, use_dropout=False).unembedded_output

    padded = [[compiling.COMPILER_BOS, *row, *[compiling.COMPILER_PAD] * (program.max_len - len(row))] for row in words]
    batch = jnp.array([encoder.encode(row) for row in padded])
    apply = hk.without_apply_rng(hk.transform(forward)).apply
    found = np.asarray(jax.jit(apply)(compiled.params, batch))
    return [decoder.decode(row[1 : 1 + len(word)]) for row, word in zip(found.tolist(), words, strict=True)]


def _compare(
    program: Case,
    words: list[Any],
    left: list[Any],
    right: list[Any],
    a: str,
    b: str,
    *,
    both: bool = False,
    tolerance: float = ROUNDING,
) -> None:
    """Raises where the two differ at a position that the left one defines (or either, with `both`)."""
    for position, (x, y) in enumerate(zip(left, right, strict=True)):
        if x is None and not (both and y is not None):
            continue
        if not _equal(x, y, tolerance):
            hint = " (does the program look ahead?)" if program.causal and not both else ""
            raise ProgramError(
                f"{program.name}: on {words} at position {position}, {a} gives {x!r} and {b} gives {y!r}{hint}"
            )


def _equal(x: Any, y: Any, tolerance: float) -> bool:
    if isinstance(x, int | float) and isinstance(y, float):
        return math.isclose(x, y, rel_tol=ROUNDING, abs_tol=tolerance)
    return bool(x == y)
