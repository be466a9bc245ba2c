"""One method on one model: what is recorded, what a method is given, and what it must leave alone."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch

import siit
from siit.discovery import METHODS, DiscoveryTask
from siit.evaluation import Bench, Evaluation, EvaluationSetting, evaluate
from siit.evaluation.bench import family
from siit.evaluation.candidate import candidate
from siit.scoring.ranking import chance
from tests.builders.discovery import certified

SLOW = ("subnetwork_probing", "edge_pruning", "acdc", "eap_ig_activations")


def constant(task: DiscoveryTask, by: str = "resample", bonus: float = 1.0) -> Mapping[str, float]:
    return dict.fromkeys(task.edges, bonus)


def needs_a_seed(task: DiscoveryTask, seed: int) -> Mapping[str, float]:
    return dict.fromkeys(task.edges, float(seed))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in SLOW])
def test_every_method_is_evaluated(name: str):
    found = evaluate(certified(), name, n_pairs=16)
    assert (found.case, found.model_seed, found.tier, found.method) == ("frac_prevs", 0, certified().tier, name)
    assert found.level == ("node" if name in ("exact_nodes", "eap_nodes", "hisp") else "edge")
    assert bool(found.edge) == (found.level == "edge") and set(found.node) == {"all", "no_embeddings"}
    assert found.forward >= 32 and (found.backward > 0) == ("exact" not in name and name != "information_flow")
    assert found.faithfulness is not None and found.faithfulness.pairs == 16
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_passes_are_each_methods_own():
    bench = Bench(certified(), EvaluationSetting(n_pairs=16))
    counts = [(bench.evaluate("eap").forward, bench.evaluate("eap").backward) for _ in range(2)]
    assert counts[0] == counts[1] == (16 * 3, 16)


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("exact", "zero"),
        ("eap", "zero"),
        ("exact_mean", "mean"),
        ("exact_denoising", "resample"),
        ("tests.evaluation.test_bench:constant", "zero"),
    ],
)
def test_a_method_gets_the_ablation_that_its_name_does_not_fix(name: str, by: str):
    assert candidate(name, EvaluationSetting(ablation="zero")).parameters["by"] == by


def test_a_function_gets_what_its_name_would_get():
    setting = EvaluationSetting(ablation="zero", seed=7)
    needs = f"{__name__}:needs_a_seed"
    assert candidate(needs, setting).parameters == candidate(needs_a_seed, setting).parameters == {"seed": 7}
    assert candidate(constant, setting).parameters["by"] == "zero"
    fixed = functools.partial(constant, by="mean")
    assert candidate(fixed, setting).parameters["by"] == "mean"
    with pytest.raises(ValueError, match="missing a required argument: 'wanted'"):
        candidate(lambda task, wanted: {}, setting)


def test_a_method_that_draws_gets_the_seed():
    assert candidate("edge_pruning", EvaluationSetting(seed=7)).parameters["seed"] == 7

    def draws(task: DiscoveryTask) -> Mapping[str, float]:
        return dict(zip(task.edges, torch.rand(len(task.edges)).tolist()))

    before = torch.random.get_rng_state()
    found = [evaluate(certified(), draws, n_pairs=4, seed=seed).scores for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert torch.equal(before, torch.random.get_rng_state())


def test_ones_own_function():
    found = siit.evaluate(certified(), constant, n_pairs=4)
    assert found.method == "tests.evaluation.test_bench:constant" and found.method_sha256 is not None
    visible = found.edge["visible"]
    assert (visible.roc_auc, visible.average_precision) == (0.5, chance(5, 132).average_precision)
    assert visible.precision_at_size == pytest.approx(5 / 137)


def test_a_method_that_changes_the_weights_is_told_and_undone():
    before = {name: tensor.clone() for name, tensor in certified().model.state_dict().items()}

    def prunes(task: DiscoveryTask) -> Mapping[str, float]:
        with torch.no_grad():
            task.model.embed.W_E.zero_()
        return dict.fromkeys(task.edges, 1.0)

    with pytest.raises(ValueError, match=r"found embed.W_E changed, accepted is a method that leaves the weights"):
        evaluate(certified(), prunes, n_pairs=4)
    assert all(torch.equal(tensor, before[name]) for name, tensor in certified().model.state_dict().items())


@pytest.mark.parametrize(
    ("method", "setting", "message"),
    [
        ("eapp", {}, "method: found 'eapp'; did you mean eap.* accepted are module:function, exact"),
        (
            "eap",
            {"corruption": "third_name"},
            "found 'third_name', accepted for frac_prevs: permuted, plain",
        ),
        ("eap", {"n_pairs": True}, "n_pairs: found True, accepted is a whole number from 1 on"),
        ("eap", {"n_pairs": 0}, "n_pairs: found 0, accepted is a whole number from 1 on"),
        ("eap", {"seed": -1}, "seed: found -1, accepted is a whole number from 0 on"),
        ("eap", {"pairs": 1}, "setting: found 'pairs', accepted are corruption, ablation, n_pairs, seed"),
    ],
)
def test_wrong_arguments_are_named(method: str, setting: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        evaluate(certified(), method, **setting)


def test_a_wrong_ablation_is_named():
    # Where shapes and types are checked while tests run, the types' own message comes first.
    with pytest.raises((ValueError, TypeError), match=r"(?s)ablation.*none"):
        evaluate(certified(), "eap", ablation="none")


def test_families():
    assert (family("frac_prevs"), family("random-deep-7"), family("mine")) == ("counting", "drawn", "own")


def damaged(change: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(evaluate(certified(), "structure", n_pairs=4).to_json())) | change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format: found 'other', accepted is 'siit-evaluation/1'"),
        ({"more": 1}, "fields: found more, accepted are"),
        ({"seconds": "fast"}, "seconds: found 'fast', accepted is a finite number"),
        ({"seconds": 10**400}, "seconds: found 1000.*, accepted is a finite number"),
        ({"seconds": True}, "seconds: found True, accepted is a finite number"),
        ({"forward": 1.5}, "forward: found 1.5, accepted is of type int"),
        ({"level": "slot"}, "level: found 'slot', accepted is one of edge, node"),
        ({"method_sha256": 3}, "method_sha256: found 3, accepted is of type str"),
        ({"setting": {"seed": 1}}, "setting: found no ablation, accepted are"),
        ({"edge": {"visible": {}}}, "edge.visible: found no average_precision"),
        ({"edge": []}, r"edge: found \[\], accepted is an object"),
        ({"scores": {"m0": float("nan")}}, "scores.m0: found nan, accepted is a finite number"),
        ({"parameters": {"by": []}}, r"parameters.by: found \[\], accepted is str or int or float or bool or null"),
    ],
)
def test_damaged_evaluations_are_refused(change: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Evaluation.from_json(damaged(change))


def test_numbers_that_cannot_be_are_refused():
    data = damaged({})
    data["edge"]["visible"]["roc_auc"] = 1.5
    with pytest.raises(ValueError, match=r"edge.visible: roc_auc: found 1\.5, accepted is a share from 0 to 1"):
        Evaluation.from_json(data)


def test_a_method_sees_the_task_alone():
    """Neither circuit nor seed."""
    seen: list[DiscoveryTask] = []

    def looks(task: DiscoveryTask) -> Mapping[str, float]:
        seen.append(task)
        return dict.fromkeys(task.edges, 1.0)

    evaluate(certified(), looks, n_pairs=4)
    assert type(seen[0]) is DiscoveryTask and not {"circuit", "seed", "certificate", "bundle"} & set(dir(seen[0]))
