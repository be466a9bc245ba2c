"""Models in TransformerLens 4, which needs an environment of its own: `make test-bridge`."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
import torch

import siit
from siit.bundle import write_bundle
from siit.interop.lens import to_bridge, to_hooked_transformer
from tests.builders.bundles import make_bundle
from tests.builders.transformers import ARCHITECTURES, padded_model


def _version() -> int:
    try:
        return int(importlib.metadata.version("transformer-lens").partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


pytestmark = pytest.mark.skipif(_version() != 4, reason="needs TransformerLens 4: make test-bridge")


@pytest.mark.parametrize(("direction", "norm", "d_vocab_out"), ARCHITECTURES)
def test_the_same_logits(direction: str, norm: str | None, d_vocab_out: int):
    model, tokens = padded_model(direction, norm, d_vocab_out)
    bridge = to_bridge(model)
    torch.testing.assert_close(bridge(tokens), model(tokens), atol=1e-5, rtol=0)
    assert not bridge.training


def test_a_loaded_model(tmp_path: Path):
    write_bundle(tmp_path, make_bundle())
    loaded = siit.load(tmp_path, "toy")
    tokens = loaded.evidence["base_tokens"]
    assert loaded.vocab.pad_id in tokens
    # Random weights: its logits are in the thousands.
    torch.testing.assert_close(loaded.to_bridge()(tokens), loaded.model(tokens), atol=0, rtol=1e-5)


def test_what_senders_send_is_the_same():
    model, tokens = padded_model("causal", "LN", 3)
    senders = model.run(tokens).senders
    _, cache = to_bridge(model).run_with_cache(tokens)
    torch.testing.assert_close(cache["hook_embed"], senders[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(cache["blocks.1.hook_mlp_out"], senders[-1], atol=1e-5, rtol=0)


def test_version_3_is_asked_for_by_name():
    model, _ = padded_model("causal", None, 3)
    with pytest.raises(ImportError, match=r"without HookedTransformer, .*\[lens\]'`"):
        to_hooked_transformer(model)
