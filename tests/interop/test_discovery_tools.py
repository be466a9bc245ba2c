"""Adapters of discovery tools: AutoCircuit's names, and the EAP-IG package on ids."""

from __future__ import annotations

import types
from typing import Any

import pytest
import torch

from siit.discovery.methods import AttributionPatching
from siit.graph.architecture import Edge, ModelConfig, components, count_edges, edges
from siit.interop.auto_circuit import auto_circuit_name, edges_by_auto_circuit_names, from_prune_scores
from siit.interop.eap_ig import batches, edge_scores, metric, takes_ids
from siit.interop.lens import to_hooked_transformer
from tests.builders.discovery import certified_task

CONFIG = ModelConfig(n_layers=2, n_heads=2, d_model=4, d_head=2, d_mlp=4, n_ctx=4, d_vocab=4, d_vocab_out=2)


def test_auto_circuits_names():
    names = {
        Edge("m0", "a1.h1", "v"): "MLP 0->A1.1.V",
        Edge("pos_embed", "a0.h0", "q"): "Resid Start->A0.0.Q",
        Edge("input", "m1"): "Resid Start->MLP 1",
        Edge("a0.h1", "logits"): "A0.1->Resid End",
    }
    assert {edge: auto_circuit_name(edge) for edge in names} == names
    back = edges_by_auto_circuit_names(CONFIG)
    assert len(back) == count_edges(CONFIG)
    assert back["MLP 0->A1.1.V"] == "m0->a1.h1<v>" and back["Resid Start->MLP 1"] == "input->m1"


def test_auto_circuits_scores():
    senders = ["input", *components(CONFIG)]
    scores: dict[str, Any] = {"blocks.1.hook_resid_post": -torch.arange(7.0)}
    for layer, before in ((0, 1), (1, 4)):
        scores |= {
            f"blocks.{layer}.hook_{slot}_input": 100.0 * layer + torch.arange(2.0 * before).view(2, before)
            for slot in "qkv"
        }
        scores[f"blocks.{layer}.hook_mlp_in"] = torch.arange(before + 2.0)
    found = from_prune_scores(scores, CONFIG)
    assert len(found) == count_edges(CONFIG)
    assert found["m1->logits"] == senders.index("m1") == 6
    assert found["a0.h1->a1.h1<k>"] == 100 + 4 + senders.index("a0.h1")
    assert found["a1.h0->m1"] == senders.index("a1.h0")
    with pytest.raises(ValueError, match=r"scores: found none of blocks.1.hook_mlp_in"):
        from_prune_scores({name: of for name, of in scores.items() if name != "blocks.1.hook_mlp_in"}, CONFIG)


def package() -> Any:
    """Makes a module with what the EAP-IG package's have: strings, a mask, and a device that is written in."""
    module = types.ModuleType("eap.attribute")
    exec(
        "import torch\n"
        "def tokenize_plus(model, inputs, max_length=None):\n"
        "    raise RuntimeError('takes strings')\n"
        "def attribute(model, batches, metric):\n"
        "    total, device = torch.zeros(2, 3, device='cuda', dtype=torch.float64), []\n"
        "    for clean, corrupted, label in batches:\n"
        "        tokens, mask, lengths, positions = tokenize_plus(model, clean)\n"
        "        logits = model(tokens, attention_mask=mask)\n"
        "        total += metric(logits, None, lengths, label)\n"
        "    return total\n",
        module.__dict__,
    )
    return module


def test_the_package_takes_ids_on_any_device():
    pytest.importorskip("transformer_lens")
    task, module = certified_task(16, permute_positions=False), package()
    hooked = to_hooked_transformer(task.model)
    with takes_ids(module, device="cpu"):
        found = module.attribute(hooked, batches(task, 5), metric)
    whole = task.batch(torch.arange(16))
    torch.testing.assert_close(found, whole.difference(whole.run()).sum().double().expand(2, 3), atol=1e-4, rtol=0)
    assert module.torch is torch
    with pytest.raises(RuntimeError, match="takes strings"):
        module.tokenize_plus(hooked, [])


def test_scores_are_read_off_a_graph():
    scores = torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, -4.0]])
    places = {"input->a0.h0<q>": (0, 0), "input->m0": (0, 1), "m0->logits": (1, -1)}
    edges_of = {name: types.SimpleNamespace(matrix_index=place) for name, place in places.items()}
    graph = types.SimpleNamespace(scores=scores, edges=edges_of)
    assert edge_scores(graph) == {"input->a0.h0<q>": 1, "input->m0": 2, "m0->logits": 4}
    assert edge_scores(graph, 2 * scores)["m0->logits"] == 8


def test_what_the_package_cannot_do_is_refused():
    with pytest.raises(ValueError, match="task: found permuted positions"):
        batches(certified_task(4))
    with (
        pytest.raises(ValueError, match="module: found no tokenize_plus in math"),
        takes_ids(__import__("math"), device="cpu"),
    ):
        pass


def test_attribution_through_transformer_lens_hooks():
    """Gradients and activations of TransformerLens' own hooks give the same scores."""
    pytest.importorskip("transformer_lens")
    task = certified_task(16, permute_positions=False)
    hooked = to_hooked_transformer(task.model)
    batch = task.batch(torch.arange(16))
    with torch.no_grad():
        corrupted = hooked.run_with_cache(task.corrupted)[1]
    read: dict[str, Any] = {}
    sent: dict[str, Any] = {}

    def keep(tensor: Any, hook: Any) -> Any:
        tensor.requires_grad_()
        tensor.retain_grad()
        (read if "input" in hook.name or "mlp_in" in hook.name or "resid_post" in hook.name else sent)[hook.name] = (
            tensor
        )
        return tensor

    from siit.graph.hooks import receiver_hook, sender_hook

    names = {sender_hook(edge.sender).partition("[")[0] for edge in edges(task.config)}
    names |= {receiver_hook(edge, task.config).partition("[")[0] for edge in edges(task.config)}
    logits = hooked.run_with_hooks(task.clean, fwd_hooks=[(name, keep) for name in names])
    metric(logits, None, None, batch).backward()
    found = AttributionPatching()(task)
    for edge in edges(task.config):
        (of, _, sender), (to, _, receiver) = (
            hook.partition("[") for hook in (sender_hook(edge.sender), receiver_hook(edge, task.config))
        )
        change, gradient = corrupted[of] - sent[of].detach(), read[to].grad
        change = change[:, :, int(sender[:-1])] if sender else change
        gradient = gradient[:, :, int(receiver[:-1])] if receiver else gradient
        assert found[str(edge)] == pytest.approx(abs(float((change * gradient).sum())) / 16, abs=1e-5)
