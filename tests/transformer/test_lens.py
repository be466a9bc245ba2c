"""Parity with TransformerLens: plain runs, node and edge patches, gradients."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from siit.certificate import ReferenceModel
from siit.graph.architecture import ACTIVATIONS, DIRECTIONS, NORMALIZATIONS, ModelConfig
from siit.transformer import BatchPatch, PatchPoints, Transformer
from tests.builders import transformers
from tests.transformer.lens import HookedRun, hooked_transformer

pytest.importorskip("transformer_lens")

_KINDS = list(itertools.product(ACTIVATIONS, DIRECTIONS, NORMALIZATIONS))


def _config(act_fn: str, direction: str, norm: str | None, **changes: Any) -> ModelConfig:
    kind = {"act_fn": act_fn, "attention_dir": direction, "normalization_type": norm}
    return ModelConfig(**transformers.SIZES | {"n_layers": 2} | kind | changes)


@pytest.mark.parametrize(("act_fn", "direction", "norm"), _KINDS)
def test_runs_agree_in_single_precision(act_fn: str, direction: str, norm: str | None):
    config = _config(act_fn, direction, norm)
    double, tokens = transformers.model_and_tokens(config, seed=0)
    model = Transformer(config)
    model.load_state_dict({name: tensor.float() for name, tensor in double.state_dict().items()})
    run = HookedRun(hooked_transformer(model), config, tokens)
    outputs = model.run(tokens)
    torch.testing.assert_close(outputs.logits, run.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outputs.senders, list(run.sent.values()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("act_fn", "direction", "norm"), _KINDS)
def test_attention_patterns_of_the_reference_agree(act_fn: str, direction: str, norm: str | None):
    config = _config(act_fn, direction, norm)
    model, tokens = transformers.model_and_tokens(config, seed=2)
    reference = ReferenceModel(config, dict(model.state_dict()))
    run = reference.run(tokens)
    _, cache = hooked_transformer(model).run_with_cache(tokens)
    for layer, index in itertools.product(range(config.n_layers), range(config.n_heads)):
        pattern = reference.pattern(f"a{layer}.h{index}", run)
        torch.testing.assert_close(pattern, cache["pattern", layer][:, index])
    with pytest.raises(ValueError, match=r"head: found 'm0', accepted are a0.h0 to a1.h2"):
        reference.pattern("m0", run)


@pytest.mark.parametrize(("act_fn", "direction", "norm"), _KINDS)
def test_patched_runs_agree(act_fn: str, direction: str, norm: str | None):
    """Nodes and edges at once, other masks in every example; the replacements are what the sources gave."""
    config = _config(act_fn, direction, norm, n_layers=3, n_heads=2)
    model, tokens = transformers.model_and_tokens(config, seed=1)
    lens = hooked_transformer(model)
    other, another = model.run(tokens.flip(0)).senders, model.run(tokens.flip(1)).senders
    for seed in range(2):
        masks = transformers.some_patch(transformers.some_circuit(config, seed), tokens, seed)
        for nodes, edges in ((True, False), (False, True), (True, True)):
            patch = BatchPatch(masks.points, masks.nodes & nodes, masks.edges & edges, other, another)
            run = HookedRun(lens, config, tokens, patch)
            outputs = model.run(tokens, patch=patch)
            torch.testing.assert_close(outputs.logits, run.logits)
            torch.testing.assert_close(outputs.senders, list(run.sent.values()))


def test_every_node_and_edge_alone():
    """Each example replaces one node or one edge, so that no two errors can make up for each other."""
    config = _config("gelu", "causal", "LN", n_heads=2)
    model, _ = transformers.model_and_tokens(config, seed=2)
    points = PatchPoints(transformers.whole_circuit(config, seed=2))
    count = len(points.senders) + len(points.edges)
    generator = torch.Generator().manual_seed(2)
    base, source = torch.randint(config.d_vocab, (2, count, config.n_ctx), generator=generator)
    alone = torch.eye(count, dtype=torch.bool)
    replacement = model.run(source).senders
    patch = BatchPatch(points, alone[: len(points.senders)], alone[len(points.senders) :], replacement, replacement)
    logits = model(base, patch=patch)
    torch.testing.assert_close(logits, HookedRun(hooked_transformer(model), config, base, patch).logits)
    clean = model.run(base)
    moved = (logits - clean.logits).abs().amax((1, 2)) > 1e-9
    senders = [*points.senders, *(edge.sender for edge in points.edges)]
    indices = [points.senders.index(name) for name in senders]
    # Only what brings its own value changes nothing: positions are the same in every input.
    own = [torch.equal(replacement[index][row], clean.senders[index][row]) for row, index in enumerate(indices)]
    assert moved.tolist() == [not same for same in own]
    assert own.count(True) >= senders.count("pos_embed")


@pytest.mark.parametrize(("direction", "norm"), list(itertools.product(DIRECTIONS, NORMALIZATIONS)))
def test_gradients_agree(direction: str, norm: str | None):
    """Of a patched run whose replacements are the source run's, through that run too."""
    config = _config("gelu_new", direction, norm)
    model, tokens = transformers.model_and_tokens(config, seed=3)
    lens = hooked_transformer(model)
    masks = transformers.some_patch(transformers.some_circuit(config, seed=3), tokens, seed=3)
    weight = torch.linspace(-1, 1, tokens.numel() * config.d_vocab_out, dtype=torch.float64)
    weight = weight.view(*tokens.shape, -1)

    def patch(source: list[torch.Tensor]) -> BatchPatch:
        mean = [value.mean(0, keepdim=True).expand_as(value) for value in source]
        return BatchPatch(masks.points, masks.nodes, masks.edges, source, mean)

    ours = model(tokens, patch=patch(model.run(tokens.flip(0)).senders))
    (ours * weight).sum().backward()
    source = list(HookedRun(lens, config, tokens.flip(0)).sent.values())
    theirs = HookedRun(lens, config, tokens, patch(source)).logits
    (theirs * weight).sum().backward()
    parameters = dict(lens.named_parameters())
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    torch.testing.assert_close(gradients, {name: parameters[name].grad for name in gradients})
