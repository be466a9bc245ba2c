"""Tracr's compiled model, where Tracr needs help."""

from __future__ import annotations

import os

import jax
import pytest
from tracr.compiler import assemble
from tracr.rasp import rasp

from siit.training.rasp.agreement import check_agreement
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.programs import own


def previous() -> rasp.SOp:
    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - 1)
    return rasp.Aggregate(before, rasp.tokens, None).named("previous")


@pytest.mark.parametrize(("vocab", "longest"), [("abcdefghi", 6), ("abcdefg", 3)])
def test_heads_may_have_more_values_than_keys(vocab: str, longest: int):
    case, before = own(previous, vocab, longest), assemble._get_model_config_and_module_names
    check_agreement(case, build_causal_model(case), samples=16)
    assert assemble._get_model_config_and_module_names is before


def test_jax_leaves_the_gpu_alone():
    assert jax.config.jax_platforms == os.environ.get("JAX_PLATFORMS", "cpu")
