"""The track of variables: places by hand, references and their nulls, ties, and a sweep from the command line."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siit.evaluation import VariableEvaluation, VariableResults, VariableSetting, locate, read_variables
from siit.evaluation.__main__ import main
from siit.evaluation.files import read_checked, write_evaluation
from siit.evaluation.variables import bench as benches
from siit.evaluation.variables.files import LostVariableJob, write_variables
from siit.evaluation.variables.overview import MEASURES, of_model, variable_means
from siit.evaluation.variables.rating import located, placed, placing
from siit.evaluation.variables.truth import Truth
from siit.localization import UnseenUnitError, VariableTask, variable_task
from siit.scoring.structure import node_probabilities, unit_probabilities
from tests.builders.discovery import DATA, certified

VIEWS = ("apart", "all")


@pytest.mark.parametrize(
    ("true", "scores", "top_1", "reciprocal_rank"),
    [
        ([0], [3, 2, 1], 1, 1),
        ([1], [3, 2, 1], 0, 1 / 2),
        ([2], [3, 3, 3], 1 / 3, (1 + 1 / 2 + 1 / 3) / 3),
        ([1], [3, 1, 1, 0], 0, (1 / 2 + 1 / 3) / 2),
        ([0, 1], [3, 3, 3, 1], 2 / 3, 2 / 3 + 1 / 3 / 2),
        ([0, 3], [2, 3, 1, 1], 0, 1 / 2),
    ],
)
def test_places_by_hand(true: list[int], scores: list[float], top_1: float, reciprocal_rank: float):
    labels = np.isin(np.arange(len(scores)), true)
    found = placing(labels, np.array(scores, dtype=float))
    assert found.top_1 == pytest.approx(top_1) and found.reciprocal_rank == pytest.approx(reciprocal_rank)


def test_equal_scores_count_as_the_mean_over_their_orders():
    labels, scores = np.array([False, True, False, True, False]), np.array([2.0, 1, 1, 1, 1])
    found = placing(labels, scores)
    orders = [[0, *order] for order in itertools.permutations(range(1, 5))]
    first = [next(place for place, node in enumerate(order, 1) if labels[node]) for order in orders]
    assert found.reciprocal_rank == pytest.approx(np.mean([1 / place for place in first]))


def test_a_random_order_is_its_null():
    nodes = [f"a0.h{index}" for index in range(9)]
    zeros = dict.fromkeys(nodes, 0.0)
    generator = np.random.default_rng(0)
    draws = [
        placed(nodes, dict(zip(nodes, generator.random(9), strict=True)), zeros, ("a0.h2", "a0.h5"))
        for _ in range(2000)
    ]
    for name in ("top_1", "reciprocal_rank", "average_precision"):
        values = np.array([getattr(one, name) for one in draws])
        expected = getattr(draws[0].random, name)
        assert abs(values.mean() - expected) < 4 * values.std() / np.sqrt(len(values))


def test_what_is_tied_is_left_out_of_the_headline():
    scores = {"tok_embed": 0.9, "pos_embed": 0.0, "a0.h0": 0.8, "a0.h1": 0.4, "m0": 0.7}
    found = located(scores, scores, Truth(("m0",), ("a0.h0",), 1.0, 0.5))
    assert found.views["apart"].top_1 == 1 and found.views["apart"].negatives == 1
    assert found.views["all"].reciprocal_rank == pytest.approx(1 / 3)
    assert (found.at_nodes, found.at_others, found.best_other) == (0.7, 0.4, "a0.h1")
    alone = located(scores, scores, Truth(("m0",), ("a0.h0", "a0.h1"), 1.0, 0.5))
    assert alone.views.keys() == {"all"} and alone.best_other is None


def test_references():
    labels, structure = (locate(certified(), name, n_pairs=16) for name in ("labels", "structure"))
    for unit in ("is_x", "frac_prevs"):
        for view in VIEWS:
            best, null = labels.units[unit].views[view], structure.units[unit].views[view]
            assert (best.top_1, best.reciprocal_rank, best.average_precision) == (1, 1, 1)
            assert vars(null.structure).items() <= vars(null).items()
            assert null.average_precision < 1 or unit == "is_x"
    draws = [locate(certified(), "random", n_pairs=1, seed=seed).units["is_x"].scores for seed in range(2)]
    assert draws[0] != draws[1]


def test_the_structure_null_of_nodes_is_the_sum_of_those_of_units():
    chances = unit_probabilities(certified().circuit)
    assert chances["is_x"]["m0"] == 1 and chances["frac_prevs"]["a1.h2"] == 0.25
    together = node_probabilities(certified().circuit)
    assert all(float(sum(each[node] for each in chances.values())) == together[node] for node in chances["is_x"])


def test_the_true_nodes_of_a_certified_model_come_first():
    for method in ("interchange", "probing"):
        found = locate(certified(), method, n_pairs=64)
        assert found.left_out == {} and list(found.units) == ["is_x", "frac_prevs"]
        for unit in found.units.values():
            assert unit.views["apart"].top_1 == 1 and unit.at_nodes > 0.999
            assert unit.tied == () and unit.together == 1 and 0 < unit.untouched < 0.9
    assert found.backward == 0 and found.forward == 2 * 2 * 2 * 64


def test_at_all_positions_no_answer_tells_a_chain_apart():
    found = locate(certified(), "interchange", n_pairs=32, positions="all")
    assert found.units["is_x"].tied == ("a1.h0",) and found.units["frac_prevs"].tied == ("m0",)
    assert found.units["is_x"].scores["a1.h0"] == found.units["is_x"].at_nodes == 1
    assert found.units["is_x"].views["apart"].top_1 == 1 and found.units["is_x"].views["all"].top_1 == 1 / 3


def test_a_unit_that_cannot_be_seen_is_left_out(monkeypatch: pytest.MonkeyPatch):
    draw = variable_task

    def blind(model: object, unit: str, *args: object, **how: object) -> VariableTask:
        if unit == "is_x":
            raise UnseenUnitError("no")
        return draw(certified(), unit, 8)

    monkeypatch.setattr(benches, "variable_task", blind)
    found = locate(certified(), "labels", n_pairs=8)
    assert found.left_out == {"is_x": "no"} and list(found.units) == ["frac_prevs"]


def test_ones_own_and_what_is_refused():
    def late(task: VariableTask) -> dict[str, float]:
        return {node: float(node.startswith("a1")) for node in task.nodes}

    assert locate(certified(), late, n_pairs=4).units["frac_prevs"].views["apart"].top_1 == 0.25
    refused: list[tuple[Any, str]] = [
        (lambda task: {"m0": 1.0}, "found no score of tok_embed"),
        (lambda task: None, "found a NoneType"),
        ("dsa", "method: found 'dsa'; did you mean das"),
    ]
    for method, message in refused:
        with pytest.raises(ValueError, match=message):
            locate(certified(), method, n_pairs=4)
    with pytest.raises(ValueError, match="setting: found 'ablation', accepted are positions, n_pairs, seed"):
        locate(certified(), "labels", ablation="zero")
    with pytest.raises(ValueError, match="n_pairs: found 0"):
        VariableSetting(n_pairs=0)


def invented(case: str, value: float, seed: int = 0) -> VariableEvaluation:
    """Changes an evaluation into one with another average precision, the same for all units."""
    one = locate(certified(), "labels", n_pairs=2)
    units = {
        name: dataclasses.replace(
            unit, views={"apart": dataclasses.replace(unit.views["apart"], average_precision=value)}
        )
        for name, unit in one.units.items()
    }
    return dataclasses.replace(one, case=case, units=units, setting=VariableSetting(n_pairs=2, seed=seed))


def test_means_are_over_units_then_seeds_then_models(tmp_path: Path):
    done = [invented("one", 0.2), invented("one", 0.4, seed=1), invented("two", 0.9)]
    means = {(one.group, one.measure): one for one in variable_means(done)}
    headline = means["all", "apart.average_precision"]
    assert headline.models == 2 and headline.mean == pytest.approx(0.6) and headline.low == pytest.approx(0.3)
    assert of_model(done[0], "all.top_1") is None and ("all", "all.top_1") not in means
    assert {measure for _, measure in means} <= {*MEASURES, "seconds"}
    results = VariableResults(
        tuple(done), (LostVariableJob("x", 1, "m:f", VariableSetting(), "no"),), tuple(means.values())
    )
    write_variables(tmp_path / "variables.json", results)
    found = read_variables(tmp_path / "variables.json")
    assert found.means == results.means and found.failed == results.failed
    assert found.evaluations[0].units["is_x"].scores == {} and len(found.evaluations) == 3
    write_evaluation(tmp_path / "one.json", done[0])
    assert read_checked(tmp_path / "one.json", VariableEvaluation.from_json) == done[0]
    with pytest.raises(ValueError, match=r"variables.json: format: found 'siit-variables-results/1'"):
        read_checked(tmp_path / "variables.json", VariableEvaluation.from_json)


def test_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "failing_locator.py").write_text("def never(task):\n    raise KeyError('hook')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    command = [str(DATA), "track=variables", "n_pairs=8", "positions=some,all"]
    assert main([*command, "method=interchange,structure"]) == 0
    shown = capsys.readouterr().out
    assert "[1/4] frac_prevs/seed-0 interchange some seed=0: 2 units: top-1 1.000" in shown
    assert "is_x        m0     1.000" in shown and "variables.json" in shown
    assert main([*command, "method=interchange,structure,failing_locator:never"]) == 1
    shown = capsys.readouterr().out
    assert shown.count("(done before)") == 4 and "KeyError: 'hook' (failing_locator.py, line 2)" in shown
    results = read_variables(tmp_path / "results" / "variables.json")
    assert len(results.evaluations) == 4 and len(results.failed) == 2
    assert (tmp_path / "results/frac_prevs/seed-0/interchange/variables.all.pairs-8.seed-0.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["track=variables", "method=eap"], "accepted are module:function, probing, interchange, das, labels"),
        (["track=variables", "method=das", "ablation=zero"], "ablation: found with track=variables, accepted with"),
        (["method=eap", "positions=all"], "positions: found with track=circuits, accepted with track=variables"),
        (["track=edges", "method=eap"], "found 'edges'; accepted are circuits, variables"),
    ],
)
def test_what_the_command_refuses(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main([str(DATA), *arguments]) == 2
    assert message in capsys.readouterr().err
