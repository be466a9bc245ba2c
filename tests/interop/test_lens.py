"""Models in TransformerLens 3.9: the same logits, and hooks for every node and edge that a circuit names."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch

import siit
from siit.bundle import write_bundle
from siit.graph.architecture import ModelConfig, edges
from siit.graph.hooks import ARROW, hook_edge
from siit.interop.lens import to_bridge, to_hooked_transformer
from siit.transformer import Transformer
from tests.builders import handmade, transformers
from tests.builders.bundles import CONFIG, make_bundle
from tests.builders.transformers import ARCHITECTURES, padded_model


@pytest.mark.parametrize(("direction", "norm", "d_vocab_out"), ARCHITECTURES)
@pytest.mark.parametrize("circuit_hooks", [True, False])
def test_the_same_logits(direction: str, norm: str | None, d_vocab_out: int, circuit_hooks: bool):
    pytest.importorskip("transformer_lens")
    model, tokens = padded_model(direction, norm, d_vocab_out)
    hooked = to_hooked_transformer(model, circuit_hooks=circuit_hooks)
    torch.testing.assert_close(hooked(tokens), model(tokens), atol=1e-5, rtol=0)
    assert not hooked.training


def test_a_loaded_model(tmp_path: Path):
    pytest.importorskip("transformer_lens")
    write_bundle(tmp_path, make_bundle())
    loaded = siit.load(tmp_path, "toy")
    tokens = loaded.evidence["base_tokens"]
    assert loaded.vocab.pad_id in tokens
    hooked = loaded.to_hooked_transformer()
    # Random weights: its logits are in the thousands.
    torch.testing.assert_close(hooked(tokens), loaded.model(tokens), atol=0, rtol=1e-5)
    assert not loaded.to_hooked_transformer(circuit_hooks=False).cfg.use_attn_result


def test_the_weights_are_its_own():
    pytest.importorskip("transformer_lens")
    model, tokens = padded_model("causal", None, 3)
    before = model(tokens)
    with torch.no_grad():
        to_hooked_transformer(model).W_E.zero_()
    assert torch.equal(model(tokens), before)


def test_every_hook_that_an_edge_names_exists():
    """And has the shape of what flows there: [batch, pos, (head,) d_model]."""
    pytest.importorskip("transformer_lens")
    config = ModelConfig(**transformers.SIZES | {"n_layers": 2})
    model, tokens = transformers.model_and_tokens(config, seed=0)
    _, cache = to_hooked_transformer(model).run_with_cache(tokens)
    width = (*tokens.shape, config.d_model)
    for edge in edges(config):
        for hook in hook_edge(edge, config).split(ARROW):
            name, bracket, index = hook.partition("[")
            shape = (*tokens.shape, config.n_heads, config.d_model) if bracket else width
            assert tuple(cache[name].shape) == shape
            assert not bracket or int(index.removesuffix("]")) < config.n_heads


def test_without_transformer_lens(monkeypatch: pytest.MonkeyPatch):
    model = Transformer(CONFIG, seed=0)
    monkeypatch.setitem(sys.modules, "transformer_lens", None)
    for name in ("utilities.tl_checkpoint_conversion", "model_bridge", "config"):
        monkeypatch.setitem(sys.modules, f"transformer_lens.{name}", None)
    with pytest.raises(ImportError, match=r"^to_hooked_transformer: found no transformer_lens, .*\[lens\]'`"):
        to_hooked_transformer(model)
    with pytest.raises(ImportError, match=r"^to_bridge: found no transformer_lens\.\S+, .*\[bridge\]'`"):
        to_bridge(model)


def test_with_version_4_of_transformer_lens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformer_lens", types.ModuleType("transformer_lens"))
    with pytest.raises(ImportError, match=r"found a transformer_lens without HookedTransformer, .*\[lens\]'`"):
        to_hooked_transformer(Transformer(CONFIG, seed=0))


TEXTS: list[list[str | int]] = [["a", "b"], ["b", 0, "a", "a"], [0]]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> siit.LoadedModel:
    root = tmp_path_factory.mktemp("bundle")
    write_bundle(root, make_bundle())
    return siit.load(root, "toy")


def test_texts_become_the_ids_of_the_vocabulary(toy: siit.LoadedModel):
    """Padded to the context length, as the model was trained, one text or many."""
    pytest.importorskip("transformer_lens")
    hooked = toy.to_hooked_transformer()
    texts = [" ".join(map(str, tokens)) for tokens in TEXTS]
    ids = torch.stack([toy.vocab.encode(tokens, toy.config.n_ctx) for tokens in TEXTS])
    assert torch.equal(hooked.to_tokens(texts), ids)
    for text, row in zip(texts, ids, strict=True):
        assert torch.equal(hooked.to_tokens(text), row[None])
        assert torch.equal(hooked.to_tokens(text, prepend_bos=False), row[None, 1:])
    assert hooked.to_str_tokens("a b") == ["BOS", "a", "b", "PAD", "PAD"]
    assert torch.equal(hooked("a b"), hooked(ids[:1]))
    with pytest.raises(ValueError, match=r"^text: found 'a q', accepted are tokens with spaces between: 'a', 'b', 0$"):
        hooked.to_tokens("a q")


def test_no_padding_where_all_inputs_have_one_length(tmp_path: Path):
    pytest.importorskip("transformer_lens")
    handmade.put(tmp_path)
    loaded = siit.load(tmp_path, "previous_is_x")
    tokens = ["x", "a", "x", "a"]
    ids = loaded.vocab.encode(tokens, loaded.config.n_ctx)
    assert torch.equal(loaded.to_hooked_transformer().to_tokens("x a x a"), ids[None])
