"""Patched runs against the certificate's reference executor, which shares no code with the transformer."""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import given, settings

from siit.graph.architecture import ModelConfig
from tests.builders import transformers

_SETTINGS = settings(max_examples=25, deadline=None)


@given(transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_patches_agree(config: ModelConfig, seed: int):
    model, tokens = transformers.model_and_tokens(config, seed)
    patch = transformers.some_patch(transformers.some_circuit(config, seed), tokens, seed)
    positions = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(seed)).argsort(-1)
    for ids in (None, positions):
        outputs = model.run(tokens, ids, patch)
        logits, senders = transformers.reference_run(model, tokens, ids, patch)
        torch.testing.assert_close(outputs.logits, logits)
        torch.testing.assert_close(outputs.senders, senders)


@given(transformers.configs(), transformers.SEEDS)
@_SETTINGS
def test_off_nodes_always_is_a_mask_of_ones(config: ModelConfig, seed: int):
    model, tokens = transformers.model_and_tokens(config, seed)
    circuit = transformers.some_circuit(config, seed)
    patch = transformers.some_patch(circuit, tokens, seed)
    off = torch.tensor([name in circuit.off_nodes for name in patch.points.senders]).unsqueeze(1)
    ones = model.run(tokens, patch=dataclasses.replace(patch, nodes=patch.nodes | off))
    # What the mask says of off-circuit nodes then does not count.
    always = model.run(tokens, patch=dataclasses.replace(patch, nodes=patch.nodes & ~off, off_nodes_always=True))
    torch.testing.assert_close(always.logits, ones.logits)
    torch.testing.assert_close(always.senders, ones.senders)
