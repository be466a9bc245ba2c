"""Tracr's compiler, where it needs help: programs as compiled models, and what these write."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from tracr.compiler import assemble, compiling
from tracr.craft import transformers

from siit.training.rasp.from_rasp import ProgramError
from tracr_cases import Case

if "JAX_PLATFORMS" not in os.environ:
    # For Tracr alone, JAX would take three quarters of a GPU's memory.
    jax.config.update("jax_platforms", "cpu")

MLP_EXACTNESS = 1000
"""How steep the steps of Tracr's MLPs are: at its 100, counts of 8 and 9, seen as 1/9 and 1/10, are half told apart."""
WRITTEN = 0.5
"""Tracr's compiled model answers a class by writing 1 in its direction, and None by writing 0 in all of them."""


def compile_program(program: Case) -> assemble.AssembledTransformerModel:
    """Compiles a program with Tracr; it takes about a second.

    Args:
        program: whose expressions keep the labels that `Case.expression` gives them.

    Raises:
        ProgramError: Tracr cannot compile it.
    """

    def compile_with_zeros() -> assemble.AssembledTransformerModel:
        # Tracr has Haiku draw random weights, which takes most of its time, and sets them all to zero: so do we.
        with hk.custom_creator(_zeros), _room_for_values(), _made_in_one_go():
            return compiling.compile_rasp_to_model(
                program.expression(),
                vocab=set(program.vocab),
                max_seq_len=program.max_len,
                causal=program.causal,
                compiler_bos=compiling.COMPILER_BOS,
                mlp_exactness=MLP_EXACTNESS,
            )

    try:
        # Haiku takes a creator of weights only within a transformed function.
        return hk.transform(compile_with_zeros).apply({}, None)
    except (NotImplementedError, ValueError, TypeError, KeyError) as error:
        raise ProgramError(f"{program.name}: Tracr cannot compile it: {type(error).__name__}: {error}") from error


def raw_outputs(
    compiled: assemble.AssembledTransformerModel, words: Sequence[Sequence[Any]], max_len: int
) -> Float[np.ndarray, "batch pos outputs"]:
    """Runs a compiled model on many inputs, in one padded batch, padding masked; nothing is decoded.

    Args:
        compiled: the model.
        words: the inputs, without BOS and padding.
        max_len: how many words an input is padded to.

    Returns:
        What it writes in the direction of each class, in Tracr's order; or its one number.
    """
    encoder = compiled.input_encoder
    assert encoder is not None

    def forward(batch: Any) -> Any:
        model = compiled.get_compiled_model()
        model.pad_token = encoder.pad_encoding  # Tracr's model can mask padding, but its assembly never asks for it
        model.use_unembed_argmax = False  # the largest of all zeros would be taken for the first class
        return model(batch, use_dropout=False).unembedded_output

    padded = [[compiling.COMPILER_BOS, *row, *[compiling.COMPILER_PAD] * (max_len - len(row))] for row in words]
    batch = jnp.array([encoder.encode(row) for row in padded])
    apply = hk.without_apply_rng(hk.transform(forward)).apply
    found = np.asarray(jax.jit(apply)(compiled.params, batch))
    return found.reshape(*batch.shape, -1)  # the model drops the last dimension where there is one direction only


@contextlib.contextmanager
def _room_for_values() -> Iterator[None]:
    """Makes heads as wide as their values, too: Tracr 1.0.0 looks at keys and queries only, and then fails."""
    sized = assemble._get_model_config_and_module_names

    def wide_enough(craft_model: transformers.SeriesWithResiduals) -> tuple[Any, list[str]]:
        config, names = sized(craft_model)
        values = [
            head.w_ov.matrix.shape[1]
            for module in craft_model.blocks
            if not isinstance(module, transformers.MLP)
            for head in module.as_multi().heads()
        ]
        return dataclasses.replace(config, key_size=max([config.key_size, *values])), names

    assemble._get_model_config_and_module_names = wide_enough
    try:
        yield
    finally:
        assemble._get_model_config_and_module_names = sized


@contextlib.contextmanager
def _made_in_one_go() -> Iterator[None]:
    """Has Tracr's model make its parameters in one compiled function, of which XLA leaves out the forward pass.

    Tracr runs it step by step, and JAX compiles each of some sixty steps: most of the time that a program took.
    """
    whole = assemble.hk

    def transform(function: Callable[..., Any]) -> hk.Transformed:
        made = hk.transform(function)
        return hk.Transformed(jax.jit(made.init), made.apply)

    assemble.hk = types.SimpleNamespace(**{**vars(whole), "transform": transform})
    try:
        yield
    finally:
        assemble.hk = whole


def _zeros(create: Callable[..., Any], shape: Any, dtype: Any, init: Any, context: Any) -> Any:
    """Makes zeros instead of random weights, and what else is initialised (the embeddings) as it is."""
    return jnp.zeros(shape, dtype) if isinstance(init, hk.initializers.VarianceScaling) else create(shape, dtype, init)
