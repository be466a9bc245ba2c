"""Discovery methods against worked numbers, against each other, and against one part at a time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import siit
from siit.certificate import ReferenceModel
from siit.certificate.fields import Kind
from siit.discovery import METHODS, DiscoveryTask, find_method
from siit.discovery.methods import (
    Acdc,
    ActivationGradients,
    AttributionPatching,
    ExactPatching,
    HeadImportance,
    InformationFlow,
    InputGradients,
    MaskGradients,
)
from siit.discovery.task import Level
from siit.graph.architecture import EMBEDDINGS, LOGITS, edges
from siit.scoring import grades
from tests.builders.discovery import QUICK, certified, certified_task, linear_task, random_task, silent
from tests.builders.transformers import ARCHITECTURES


def reference(task: DiscoveryTask) -> tuple[ReferenceModel, Any, Any]:
    """Runs clean and corrupted inputs by the certificate's plain executor."""
    model = ReferenceModel(task.config, dict(task.model.state_dict()))
    return model, model.run(task.clean), model.run(task.corrupted, task.corrupted_positions)


def close(found: dict[str, float], expected: dict[str, float], atol: float = 1e-6) -> None:
    assert found.keys() == expected.keys()
    torch.testing.assert_close(
        torch.tensor(list(found.values())), torch.tensor([expected[name] for name in found]), atol=atol, rtol=1e-4
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_scores_every_edge_or_node(name: str):
    task = certified_task(48)
    scores = find_method(name, **QUICK.get(name, {}))(task)
    assert set(scores) in (set(task.edges), set(task.nodes))
    assert all(math.isfinite(score) for score in scores.values())
    level = "edge" if set(scores) == set(task.edges) else "node"
    found = siit.score(scores, certified(), level=level)
    # What sees no corruption, and what is trained for a second only, does worse.
    assert found.roc_auc > (0.9 if name in ("information_flow", "edge_pruning", "subnetwork_probing") else 0.95)
    assert task.passes.forward > 0


def test_labels_are_perfect_scores():
    circuit = certified().circuit
    found = siit.score({str(edge): float(edge in circuit.carries) for edge in edges(circuit.config)}, certified())
    assert (found.roc_auc, found.average_precision) == (1, 1)


@pytest.mark.parametrize("by", ["resample", "mean", "zero"])
def test_exact_patching_finds_every_edge_that_its_kind_shows(by: Kind):
    scores = ExactPatching(by=by)(certified_task())
    graded = grades(certified())
    on = [scores[str(edge)] for edge, grade in graded.items() if grade in ("resampled", "permuted")]
    off = [scores[str(edge)] for edge, grade in graded.items() if grade == "off"]
    assert len(on) == 5 and min(on) > max(off)


def test_attribution_is_exact_where_all_is_linear():
    task = linear_task()
    for level in ("edge", "node"):
        exact = ExactPatching(level=level)(task)
        assert max(exact.values()) > 0.1
        for method in (
            AttributionPatching(level=level),
            InputGradients(level=level, steps=3),
            ActivationGradients(level=level, steps=2),
        ):
            close(method(task), exact)


def test_attribution_by_hand():
    task = linear_task()
    weights = {name: tensor.detach() for name, tensor in task.model.named_parameters()}
    clean, corrupted = (weights["embed.W_E"][ids] for ids in (task.clean, task.corrupted))
    batch = task.batch(torch.arange(4))
    target, foil = batch.readout.target, batch.readout.foil
    directions = (weights["unembed.W_U"][:, target] - weights["unembed.W_U"][:, foil]).T
    moved = ((corrupted - clean).flatten(0, 1)[batch.places] * directions).sum(1)
    by_hand = abs(float((moved * batch.weights).sum() / 4))
    assert AttributionPatching()(task)["tok_embed->logits"] == pytest.approx(by_hand)
    # Attention is even, whatever queries and keys read.
    assert AttributionPatching()(task)["m0->a1.h0<q>"] == 0


@pytest.mark.parametrize(("direction", "norm", "d_vocab_out"), ARCHITECTURES)
@pytest.mark.parametrize(
    ("by", "towards"), [("resample", "noising"), ("mean", "noising"), ("zero", "noising"), ("resample", "denoising")]
)
def test_exact_patching_is_one_part_at_a_time(
    direction: str, norm: str | None, d_vocab_out: int, by: Kind, towards: Any
):
    task = random_task(direction, norm, d_vocab_out)
    model, clean, corrupted = reference(task)
    base, other = (corrupted, clean) if towards == "denoising" else (clean, corrupted)
    values = {
        name: {"resample": output, "mean": output.mean(0), "zero": torch.zeros_like(output)}[by]
        for name, output in other.outputs.items()
    }
    batch = task.batch(torch.arange(4))

    def measure(run: Any) -> Tensor:
        return batch.difference(run.logits.flatten(0, 1)[batch.places]).mean()

    def change(**patch: Any) -> float:
        return abs(float(measure(model.patched(base, **patch)) - measure(base)))

    expected = {str(edge): change(edges={edge: values[edge.sender]}) for edge in edges(task.config)}
    close(ExactPatching(by=by, direction=towards)(task), expected)
    expected = {name: change(nodes={name: values[name]}) for name in values}
    close(ExactPatching("node", by, towards)(task), expected)


def test_parameters_are_checked():
    wrong: dict[str, dict[str, Any]] = {
        "exact": {"level": "edges"},
        "eap": {"by": "noise"},
        "eap_ig_inputs": {"steps": 0},
        "mask_gradients": {"metric": "loss"},
    }
    for name, parameters in wrong.items():
        ((field, value),) = parameters.items()
        # Where shapes and types are checked while tests run, the types' own message comes first.
        with pytest.raises(ValueError, match=f"(?s){field}.*{value}"):
            find_method(name, **parameters)
    with pytest.raises(ValueError, match="steps: found 0, accepted is a whole number from 1 on"):
        InputGradients(steps=0)


def test_denoising_is_by_the_corrupted_run_alone():
    with pytest.raises(ValueError, match="by: found 'zero', accepted: 'resample'"):
        ExactPatching(by="zero", direction="denoising")


@pytest.mark.parametrize(("by", "norm"), [("resample", "LN"), ("mean", None), ("zero", None)])
@pytest.mark.parametrize("level", ["edge", "node"])
def test_integrated_mask_gradients_are_complete(level: Level, by: Kind, norm: str | None):
    # With LayerNorm the way to a stream of zeros is too steep for 200 steps.
    task = random_task("bidirectional", norm, 3)
    batch = task.batch(torch.arange(4))
    everything = torch.ones_like(batch.masks(task.edges if level == "edge" else task.nodes))
    replaced = batch.difference(batch.run(**{f"{level}s": everything}, by=by))
    expected = float((replaced - batch.difference(batch.run())).mean())
    effects = MaskGradients(level, steps=200, by=by).effects(task)
    assert sum(effects.values()) == pytest.approx(expected, abs=1e-3)
    assert abs(expected) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("by", ["resample", "mean", "zero"])
def test_gradients_along_a_nodes_activation_add_up_to_its_patch(by: Kind):
    task = random_task("causal", "LN", 3)
    close(ActivationGradients("node", 100, by)(task), ExactPatching("node", by)(task), atol=1e-3)


def test_input_gradients_add_up_to_the_corrupted_inputs_effect():
    task = random_task("causal", "LN", 1)
    batch = task.batch(torch.arange(4))
    whole = InputGradients("node", 400)
    total = torch.zeros(len(task.edges), dtype=torch.float64)
    for step in range(whole.steps):
        total += whole._gradient(task, batch, step / whole.steps)
    of_embeddings = [edge.split("->")[0] in EMBEDDINGS for edge in task.edges]
    changed = batch.difference(batch.run(embeddings=batch.corrupted[:2])) - batch.difference(batch.run())
    assert float(total[torch.tensor(of_embeddings)].sum()) / whole.steps == pytest.approx(
        float(changed.sum()), abs=0.02 * float(changed.abs().sum())
    )


def naive_acdc(task: DiscoveryTask, threshold: float) -> set[str]:
    """Walks over all edges, one at a time, by the certificate's plain executor; returns what is kept."""
    model, clean, corrupted = reference(task)
    batch = task.batch(torch.arange(len(task)))

    def divergence(replaced: list[Any]) -> float:
        run = model.patched(clean, edges={edge: corrupted.outputs[edge.sender] for edge in replaced})
        return float(batch.divergence(run.logits.flatten(0, 1)[batch.places]).mean())

    replaced: list[Any] = []
    current = divergence(replaced)
    for edge in reversed(list(edges(task.config))):
        tried = divergence([*replaced, edge])
        if tried - current < threshold:
            replaced.append(edge)
            current = tried
    return {str(edge) for edge in edges(task.config) if edge not in replaced}


@pytest.mark.parametrize(("direction", "norm", "d_vocab_out"), ARCHITECTURES[:4])
def test_acdc_is_one_edge_at_a_time(direction: str, norm: str | None, d_vocab_out: int):
    task = random_task(direction, norm, d_vocab_out)
    thresholds = [1e-4, 1e-3, 1e-2, 0.1]
    kept = Acdc().kept(task, thresholds)
    sizes = []
    for threshold, found in zip(thresholds, kept.tolist(), strict=True):
        expected = naive_acdc(task, threshold)
        assert {name for name, is_kept in zip(task.edges, found, strict=True) if is_kept} == expected
        sizes.append(len(expected))
    assert sizes[0] > sizes[-1] and len(set(sizes)) > 2


def test_acdc_scores_are_the_greatest_threshold_that_an_edge_survives():
    task = certified_task(32)
    method = Acdc(thresholds=(0.001, 0.01, 0.1))
    scores = method(task)
    assert all(any(score == pytest.approx(level) for level in (0.0, *method.thresholds)) for score in scores.values())
    each = [Acdc(thresholds=(threshold,))(task) for threshold in method.thresholds]
    assert scores == {edge: max(of[edge] for of in each) for edge in task.edges}
    before = task.passes.forward
    Acdc(thresholds=(0.01,))(task)
    assert task.passes.forward - before < len(task.edges) * len(task) * 0.75, "edges that lead nowhere take no run"


def test_head_importance_by_hand():
    task = linear_task()
    batch = task.batch(torch.arange(4))
    # A mask's gradient is, in a linear model, what replacing the node by zero does to each example.
    by_hand = {}
    for place, name in enumerate(task.nodes):
        mask = torch.zeros(len(task.nodes), dtype=torch.float64)
        mask[place] = 1
        moved = batch.difference(batch.run(nodes=mask, by="zero")) - batch.difference(batch.run())
        by_hand[name] = float(moved.abs().mean())
    close(HeadImportance()(task), by_hand)


def test_information_flow_by_hand():
    task = random_task("causal", None, 3, n_layers=1, n_heads=1)
    silent(task.model)
    with torch.no_grad():
        task.model.embed.W_E[:, 0] = 3.0
        task.model.pos_embed.W_pos[:, 1] = 1.0
        task.model.get_parameter("blocks.0.mlp.b_out")[0] = -1.0
    # The stream is (3, 1) before the MLP and (2, 1) at the logits. Of |(3, 1)| = 4 the tokens' term takes 3.
    scores = InformationFlow(routes=False)(task)
    assert scores["tok_embed->a0.h0<q>"] == pytest.approx(0.75) and scores["pos_embed->m0"] == pytest.approx(0.25)
    # At the logits |(2, 1)| - |(2, 1) - (3, 0)| = 1, as much as that of the positions; the MLP's term leads away.
    assert scores["tok_embed->logits"] == scores["pos_embed->logits"] == pytest.approx(0.5)
    assert scores["m0->logits"] == scores["a0.h0->m0"] == 0
    routes = InformationFlow()(task)
    assert routes["tok_embed->logits"] == pytest.approx(0.5)
    assert routes["tok_embed->m0"] == 0, "no route leads on from m0"


def test_information_flow_adds_biases_and_takes_the_widest_route():
    """Against a reference: importances at the logits, and every route from an edge to them."""
    task = random_task("causal", None, 3, n_layers=2, n_heads=2)
    with torch.no_grad():
        for layer in range(2):
            task.model.get_parameter(f"blocks.{layer}.attn.b_O").normal_()
    _, run, _ = reference(task)
    last = run.final
    near = {
        name: (last.abs().sum(-1) - (last - output).abs().sum(-1)).clamp(min=0) for name, output in run.outputs.items()
    }
    total = sum(near.values())
    alone, routes = InformationFlow(routes=False)(task), InformationFlow()(task)
    for name, value in near.items():
        share = torch.where(task.scored, value / total, 0).sum(1) / task.scored.sum(1)
        assert alone[f"{name}->logits"] == pytest.approx(float(share.mean()), abs=1e-5)

    def widest(edge: str) -> float:
        receiver = edge.partition("->")[2].partition("<")[0]
        onward = [widest(other) for other in task.edges if other.startswith(f"{receiver}->")]
        return min(alone[edge], 1.0 if receiver == LOGITS else max(onward))

    for edge in task.edges:
        assert routes[edge] == pytest.approx(widest(edge))


def test_information_flow_of_a_silent_model_is_nothing():
    task = random_task("causal", None, 3)
    silent(task.model)
    assert set(InformationFlow()(task).values()) == {0.0}


@pytest.mark.slow
def test_trained_gates_find_the_circuit():
    for name in ("subnetwork_probing", "edge_pruning"):
        scores = find_method(name, steps=150)(certified_task())
        assert siit.score(scores, certified()).average_precision > 0.9
        again = find_method(name, steps=150)(certified_task())
        assert scores == again


def test_a_method_of_ones_own_in_ten_lines():
    def attribution(task: DiscoveryTask) -> dict[str, float]:
        total = torch.zeros(len(task.edges))
        for batch in task.batches(size=16):
            masks = batch.masks(task.edges)
            total += batch.gradient(batch.difference(batch.run(edges=masks)), masks)
        return dict(zip(task.edges, (total / len(task)).abs().tolist(), strict=True))

    task = certified_task()
    close(attribution(task), AttributionPatching()(task))
    assert f"m0->{LOGITS}" in task.edges
