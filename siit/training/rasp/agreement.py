"""Checks that a RASP program, its causal model and Tracr's compiled model agree, before anything trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from tracr.rasp import causal_eval, rasp
from tracr.transformer.encoder import NumericalEncoder

from siit.causal import CausalModel, Inputs
from siit.training.rasp.compiled import WRITTEN, compile_program, raw_outputs
from siit.training.rasp.from_rasp import ProgramError, sample_tokens
from tracr_cases import Case

ROUNDING = 1e-5
"""The causal model's numbers are float32."""
COMPILED_TOLERANCE = 1e-2
"""Tracr's compiled numbers are approximate: attention with a finite softmax coldness."""
CLASS_ROUNDING = 1e-9
"""Classes that are numbers are looked up, not computed: they differ by the order of float64 operations at most."""


class _Nothing(Enum):
    """Stands for an undefined output, where None may be an answer."""

    UNDEFINED = "undefined"

    def __repr__(self) -> str:
        return self.value


UNDEFINED = _Nothing.UNDEFINED


def check_agreement(
    program: Case, model: CausalModel, *, samples: int = 64, seed: int = 0, compiled: bool = True
) -> None:
    """Compares the three evaluations of one program on sampled inputs of all lengths.

    Args:
        program: to be compared.
        model: its causal model.
        samples: number of inputs.
        seed: of the inputs.
        compiled: whether to compile the program with Tracr (seconds) and compare with that too.

    Raises:
        ProgramError: see `check_agreement_on`.
    """
    tokens = sample_tokens(program, samples, torch.Generator().manual_seed(seed))
    check_agreement_on(program, model, tokens, compiled=compiled)


def check_agreement_on(
    program: Case, model: CausalModel, tokens: Int[Tensor, "batch pos"], *, compiled: bool = True
) -> None:
    """Compares the three evaluations of one program on inputs: BOS, tokens, padding.

    Args:
        program: to be compared.
        model: its causal model.
        tokens: the inputs.
        compiled: whether to compile the program with Tracr (seconds) and compare with that too.

    Raises:
        ProgramError: names the input, the position and what each evaluation gives. Raised too where a program that is
            compiled as causal looks ahead, and where RASP and the causal model define different outputs.
    """
    words = [decode(program, row) for row in tokens]
    tolerance = ROUNDING if model.classes is None else CLASS_ROUNDING
    try:
        expression = program.expression()
        expected = [_evaluated(program, expression, row) for row in words]
    except Exception as error:
        raise ProgramError(f"{program.name}: RASP cannot evaluate it: {type(error).__name__}: {error}") from error
    if program.causal:
        for row, values in zip(words, expected, strict=True):
            masked = _evaluated(program, expression, row, causal_eval.evaluate)
            _compare(program, row, values, masked, "RASP", "causal RASP", tolerance)
    for row, values, ours in zip(words, expected, _answers(model, tokens), strict=True):
        _compare(program, row, values, ours, "RASP", "the causal model", tolerance, both=True)
    if compiled:
        tolerance = COMPILED_TOLERANCE if model.classes is None else CLASS_ROUNDING
        for row, values, theirs in zip(words, expected, run_compiled(program, words), strict=True):
            _compare(program, row, values, theirs, "RASP", "Tracr's compiled model", tolerance)


def decode(program: Case, row: Int[Tensor, " pos"]) -> list[Any]:
    """Turns token ids (BOS, tokens, padding) into the values that RASP reads."""
    return [program.vocab[token] for token in row.tolist() if token < len(program.vocab)]


def outputs(model: CausalModel, tokens: Int[Tensor, "batch pos"]) -> list[list[Any]]:
    """Runs the causal model: its output at every token, as values, None where undefined or where that is the answer."""
    return [[None if value is UNDEFINED else value for value in row] for row in _answers(model, tokens)]


def _answers(model: CausalModel, tokens: Int[Tensor, "batch pos"]) -> list[list[Any]]:
    """Runs the causal model: its output at every token, as values or UNDEFINED."""
    run = model.run(Inputs(tokens))
    found = []
    for row, values, scored in zip(tokens.tolist(), run.output.tolist(), run.scored.tolist(), strict=True):
        read = [
            UNDEFINED if not defined else value if model.classes is None else model.classes[value]
            for value, defined, token in zip(values, scored, row, strict=True)
            if token < len(model.vocab)
        ]
        found.append(read)
    return found


def _evaluated(
    program: Case, expression: rasp.SOp, row: list[Any], evaluate: Callable[..., Any] = rasp.evaluate
) -> list[Any]:
    """Runs RASP: its output at every token, as values or UNDEFINED.

    Where None is an answer, RASP's None is one if all that the last map reads is defined.
    """
    values = list(evaluate(expression, row))
    if not program.none_is_answer:
        return [UNDEFINED if value is None else value for value in values]
    inputs = zip(*(evaluate(part, row) for part in expression.children), strict=True)
    return [
        UNDEFINED if any(item is None for item in read) else value for value, read in zip(values, inputs, strict=True)
    ]


def run_compiled(program: Case, words: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Runs Tracr's compiled model on many inputs, in one padded batch: values, None where it writes no class."""
    compiled = compile_program(program)
    found = raw_outputs(compiled, words, program.max_len)
    spans = [slice(1, 1 + len(word)) for word in words]
    decoder = compiled.output_encoder
    assert decoder is not None
    if isinstance(decoder, NumericalEncoder):
        return [row[span, 0].tolist() for row, span in zip(found, spans, strict=True)]
    decoded = []
    for row, span in zip(found, spans, strict=True):
        values, written = decoder.decode(row[span].argmax(-1).tolist()), row[span].max(-1) > WRITTEN
        decoded.append([value if clear else None for value, clear in zip(values, written, strict=True)])
    return decoded


def _compare(
    program: Case,
    words: list[Any],
    left: list[Any],
    right: list[Any],
    a: str,
    b: str,
    tolerance: float,
    *,
    both: bool = False,
) -> None:
    """Raises where the two differ at a position that the left one defines (or either, with `both`)."""
    for position, (x, y) in enumerate(zip(left, right, strict=True)):
        if x is UNDEFINED and not (both and y is not UNDEFINED):
            continue
        if not _equal(x, y, tolerance):
            hint = " (does the program look ahead?)" if program.causal and not both else ""
            raise ProgramError(
                f"{program.name}: on {words} at position {position}, {a} gives {x!r} and {b} gives {y!r}{hint}"
            )


def _equal(x: Any, y: Any, tolerance: float) -> bool:
    if isinstance(x, int | float) and isinstance(y, float):
        return math.isclose(x, y, rel_tol=min(tolerance, ROUNDING), abs_tol=tolerance)
    return bool(x == y)
