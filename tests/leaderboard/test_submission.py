"""Submissions: what is refused, what is merged, and that numbers are believed only where the labels give them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from siit.evaluation import Evaluation, EvaluationSetting
from siit.evaluation.files import FailedJob, read_results, write_results
from siit.graph.architecture import Edge, edges
from siit.leaderboard.check import judge
from siit.leaderboard.entry import SETTING, entry_bytes, read_entries, read_entry
from siit.leaderboard.release import read_release
from siit.leaderboard.submission import add, coverage, entries_of
from tests.builders.boards import METHODS, evaluations, release, release_root, results


@cache
def eap() -> Evaluation:
    return next(one for one in evaluations() if one.method == "eap" and one.case == "frac_prevs")


def of_eap(one: Evaluation) -> bool:
    return one.method == "eap"


def with_edge(one: Evaluation, **changes: Any) -> Evaluation:
    return dataclasses.replace(one, edge={"visible": dataclasses.replace(one.edge["visible"], **changes)})


def files_of(board: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (board / "methods").iterdir()}


def test_a_round_trip(tmp_path: Path):
    write_results(tmp_path / "results.json", results())
    added, notes = add(tmp_path, read_results(tmp_path / "results.json"), release(), about="all of them")
    assert [(one.entry.method, one.outcome, dict(one.missing)) for one in added] == [
        (method, "new", {}) for method in sorted(METHODS)
    ]
    assert notes == []
    assert read_entries(tmp_path) == [one.entry for one in added]
    (kept,) = [one for one in added[0].entry.evaluations if one.case == "frac_prevs"]
    assert set(kept.edge) == {"visible"} and set(kept.node) == {"all"} and kept.scores == {}
    assert kept.edge["visible"] == eap().edge["visible"] and kept.places == eap().places


def test_lists_of_numbers_are_one_line_each(tmp_path: Path):
    (entry,), _ = entries_of(results(of_eap), release())
    text = entry_bytes(entry).decode()
    lines = [line.strip() for line in text.splitlines()]
    assert f'"edge": {json.dumps(list(entry.evaluations[0].places["edge"]))}' in lines
    assert max(map(len, lines)) < 8 * len(entry.evaluations[0].places["edge"])


def test_the_same_submission_twice_changes_nothing(tmp_path: Path):
    add(tmp_path, results(), release())
    before = files_of(tmp_path)
    slower = results(change=lambda one: dataclasses.replace(one, seconds=one.seconds + 1, device="cuda:0"))
    added, _ = add(tmp_path, slower, release())
    assert {one.outcome for one in added} == {"unchanged"}
    assert files_of(tmp_path) == before


def test_further_models_are_merged(tmp_path: Path):
    lost = FailedJob("previous_is_x", 0, "eap", SETTING, "ValueError: no")
    first = results(lambda one: of_eap(one) and one.case == "frac_prevs", failed=(lost,))
    added, _ = add(tmp_path, first, release())
    assert added[0].missing == {("previous_is_x", 0): "ValueError: no", ("previous_is_x", 1): "not evaluated"}
    assert coverage(added, 3) == [
        "eap: new, 1 of 3 models",
        "  not covered: previous_is_x/seed-0: ValueError: no",
        "  not covered: previous_is_x/seed-1: not evaluated",
    ]
    added, _ = add(tmp_path, results(lambda one: of_eap(one) and one.case != "frac_prevs"), release())
    assert (added[0].outcome, added[0].missing, added[0].entry.failed) == ("extended", {}, ())
    (entry,) = read_entries(tmp_path)
    assert [(one.case, one.model_seed) for one in entry.evaluations] == [*sorted(release().entries)]


def test_what_is_there_is_changed_on_request_only(tmp_path: Path):
    some = ("eap", "hisp")
    add(tmp_path, results(lambda one: one.method in some), release())
    before = files_of(tmp_path)

    def other_passes(one: Evaluation) -> Evaluation:
        return dataclasses.replace(one, forward=one.forward + (one.case == "frac_prevs" and of_eap(one)))

    with pytest.raises(ValueError, match="eap: found other numbers on frac_prevs/seed-0 than on the board, accepted"):
        add(tmp_path, results(of_eap, other_passes), release())
    assert files_of(tmp_path) == before
    add(tmp_path, results(of_eap), release(), about="one")
    with pytest.raises(ValueError, match="found other words about it than on the board"):
        add(tmp_path, results(of_eap), release(), about="two")
    added, _ = add(tmp_path, results(lambda one: one.method in some, other_passes), release(), replace=True)
    assert [one.outcome for one in added] == ["replaced", "unchanged"]


def test_another_file_of_a_method_replaces_all_of_it(tmp_path: Path):
    def own(digest: str) -> Callable[[Evaluation], Evaluation]:
        return lambda one: dataclasses.replace(one, method="mine:method", method_sha256=digest)

    lost = FailedJob("previous_is_x", 1, "mine:method", SETTING, "ValueError: no")
    first = results(lambda one: of_eap(one) and (one.case, one.model_seed) != ("previous_is_x", 1), own("a" * 64))
    add(tmp_path, dataclasses.replace(first, failed=(lost,)), release())
    newer = results(lambda one: of_eap(one) and one.case == "frac_prevs", own("b" * 64))
    with pytest.raises(ValueError, match="mine:method: found another file of the method than on the board"):
        add(tmp_path, newer, release())
    (added,), _ = add(tmp_path, newer, release(), replace=True)
    assert added.outcome == "replaced" and len(added.entry.evaluations) == 1
    assert added.entry.failed == (), "the failure was of the file before"
    assert (tmp_path / "methods" / "mine.method.json").exists()


def test_one_refused_method_stops_all(tmp_path: Path):
    def worse(one: Evaluation) -> Evaluation:
        return dataclasses.replace(one, seconds=-1.0) if one.method == "hisp" else one

    with pytest.raises(ValueError, match=r"hisp on frac_prevs/seed-0, seed 0: seconds: found -1.0"):
        add(tmp_path / "board", results(change=worse), release())
    assert not (tmp_path / "board").exists()


REFUSED: dict[str, tuple[Callable[[Evaluation], Evaluation], str]] = {
    "another model": (
        lambda one: dataclasses.replace(one, case="reverse"),
        r"eap on reverse/seed-0, seed 0: model: found reverse/seed-0, accepted are the certified ones of the bundle",
    ),
    "another manifest": (
        lambda one: dataclasses.replace(one, manifest_sha256="0" * 64),
        r"manifest_sha256: found '0000.*', accepted is '",
    ),
    "no manifest": (lambda one: dataclasses.replace(one, manifest_sha256=None), "manifest_sha256: found None"),
    "another version": (lambda one: dataclasses.replace(one, version="0.0.1"), "eap: version: found 0.0.1, accepted"),
    "another tier": (lambda one: dataclasses.replace(one, tier="deep"), "tier: found 'deep', accepted is"),
    "another family": (lambda one: dataclasses.replace(one, family="sorting"), "family: found 'sorting'"),
    "a better number": (
        lambda one: with_edge(one, average_precision=0.5),
        r"edge.visible.average_precision: found 0.5, accepted is [\d.]+, what its places have",
    ),
    "a lower null": (
        lambda one: with_edge(one, structure=dataclasses.replace(one.edge["visible"].structure, roc_auc=0.1)),
        r"edge.visible.structure.roc_auc: found 0.1, accepted is [\d.]+, what the labels give",
    ),
    "fewer edges": (lambda one: with_edge(one, negatives=3), "edge.visible.negatives: found 3"),
    "no headline": (lambda one: dataclasses.replace(one, edge={}), "edge: found the views .*, accepted is 'visible'"),
    "no places": (lambda one: dataclasses.replace(one, places={}), "places: found those of .*, accepted are those of"),
    "too few places": (
        lambda one: dataclasses.replace(one, places={"edge": one.places["edge"][:-1]}),
        r"places.edge: found \d+, accepted are \d+: one of every edge",
    ),
    "a place left out": (
        lambda one: dataclasses.replace(one, places={"edge": tuple(place + 1 for place in one.places["edge"])}),
        r"places.edge: found \[2, .*, accepted are all from 1 on",
    ),
    "an area of no curve": (
        lambda one: dataclasses.replace(one, faithfulness=dataclasses.replace(one.faithfulness, cpr=0.9999)),  # type: ignore[type-var]
        r"faithfulness.cpr: found 0.9999, accepted is .*, the area that its curve has",
    ),
    "negative passes": (lambda one: dataclasses.replace(one, forward=-1), "forward: found -1, accepted is 0 or more"),
    "a method of no file": (
        lambda one: dataclasses.replace(one, method="mine:method"),
        "mine:method: method_sha256: found none, accepted is that of the file",
    ),
    "a path for a name": (lambda one: dataclasses.replace(one, method="../eap"), "method: found '../eap', accepted is"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refusals(kind: str):
    change, message = REFUSED[kind]
    frac = results(lambda one: one is eap(), change)
    with pytest.raises(ValueError, match=message):
        entries_of(frac, release())


def test_a_submission_with_one_thing_twice_is_refused():
    twice = dataclasses.replace(results(), evaluations=results(of_eap).evaluations * 2)
    with pytest.raises(ValueError, match="eap on frac_prevs/seed-0: found seed 0 twice, accepted is once"):
        entries_of(twice, release())


def test_seeds_are_those_of_all_models():
    def of_another_seed(one: Evaluation) -> Evaluation:
        return dataclasses.replace(one, setting=EvaluationSetting(seed=int(one.case == "frac_prevs")))

    with pytest.raises(ValueError, match=r"found the seeds \[0\], accepted are those of all models, \[1\]"):
        entries_of(results(of_eap, of_another_seed), release())


def test_other_settings_and_references_are_left_out():
    zeroed = dataclasses.replace(eap(), setting=EvaluationSetting(ablation="zero"))
    reference = dataclasses.replace(eap(), method="labels")
    found = results(of_eap)
    found = dataclasses.replace(found, evaluations=(*found.evaluations, zeroed, reference))
    (entry,), notes = entries_of(found, release())
    assert len(entry.evaluations) == 3
    assert notes[0].startswith("1 evaluations under other settings are left out; the board's is corruption=permuted")
    assert notes[1].startswith("labels: no methods, and left out")
    with pytest.raises(ValueError, match="evaluations: found none of a method under the board's setting"):
        entries_of(dataclasses.replace(found, evaluations=(zeroed, reference)), release())


def test_files_that_were_changed_by_hand_are_refused(tmp_path: Path):
    add(tmp_path, results(of_eap), release())
    path = tmp_path / "methods" / "eap.json"
    text = path.read_text()
    for changed, message in (
        (text.replace("siit-leaderboard/1", "siit-leaderboard/9"), "format: found another one"),
        (text.replace('"method": "eap"', '"method": "mine"', 1), r"evaluations\[0\].method: found 'eap'"),
        (text.replace('"about": ""', f'"about": "{"a" * 301}"'), "about: found 'aaa"),
        (text.replace('"seed": 0', '"seed": "0"', 1), "seed: found '0', accepted is of type int"),
        (text[:-20], "eap.json"),
    ):
        path.write_text(changed)
        with pytest.raises(ValueError, match=message):
            read_entry(path)


def test_an_edge_flipped_by_hand_costs_what_it_should():
    """A method that knows the circuit but for one edge: what it may claim, worked out by hand."""
    labels = release().labels(("previous_is_x", 0))
    before = next(one for one in evaluations() if of_eap(one) and (one.case, one.model_seed) == ("previous_is_x", 0))
    on, off = before.edge["visible"].positives, before.edge["visible"].negatives
    flipped = Edge("m0", "a1.h0", "v")
    places = tuple(1 if edge in labels.circuit.carries and edge != flipped else 2 for edge in edges(labels.config))
    claimed = dataclasses.replace(
        with_edge(
            before,
            # It shares the last places with all that are off the circuit, and is at any of them.
            roc_auc=1 - 1 / (2 * on),
            average_precision=(on - 1 + sum(on / place for place in range(on, on + off + 1)) / (off + 1)) / on,
            precision_at_size=(on - 1 + 1 / (off + 1)) / on,
        ),
        places={"edge": places},
        # Both of its nodes have other edges.
        node={
            "all": dataclasses.replace(before.node["all"], roc_auc=1.0, average_precision=1.0, precision_at_size=1.0)
        },
    )
    found = judge(claimed, release())
    assert found.edge is not None and found.edge.average_precision == pytest.approx(
        claimed.edge["visible"].average_precision
    )
    with pytest.raises(ValueError, match=r"edge.visible.average_precision: found 1.0, accepted is 0.8"):
        judge(with_edge(claimed, average_precision=1.0), release())


def test_bundles_with_the_same_model_or_none(tmp_path: Path):
    with pytest.raises(ValueError, match=r"bundle: found frac_prevs/seed-0 in .* and .*, accepted is one of them"):
        read_release([release_root(), release_root()])
    with pytest.raises(ValueError, match="bundle: found no certified model in"):
        read_release([tmp_path])
