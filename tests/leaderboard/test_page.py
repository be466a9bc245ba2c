"""The board and its page: what stands where, what is drawn, and that nothing in it runs or is fetched."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from siit.graph.architecture import Edge, edges
from siit.leaderboard.board import Board, read_board
from siit.leaderboard.circuit_chart import circuit_chart
from siit.leaderboard.edge_errors import edge_errors
from siit.leaderboard.entry import read_entries
from siit.leaderboard.page import page
from siit.leaderboard.standings import standings
from siit.leaderboard.submission import add
from tests.builders.boards import METHODS, release, results
from tests.builders.evaluations import invented
from tests.builders.shown import EVIL
from tests.suite.test_report import Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("board")
    evil = EVIL.replace("\x1b", "")
    add(root, results(), release(), about=evil)
    return root


@pytest.fixture(scope="module")
def board(folder: Path) -> Board:
    return read_board(folder, release())


def test_the_page_has_every_method_and_model(board: Board):
    shown = Page(page(board))
    for name in (*METHODS, "structure null", "chance"):
        assert name in shown.text
    assert shown.text.count("frac_prevs/seed-0") >= 1 and shown.text.count("previous_is_x/seed-1") >= 1
    assert "4 methods; 3 models (3 composed); corruption permuted, ablation resample, 256 pairs" in shown.text
    # Three methods score edges: each has a chart of its curves, and a place in the rank chart.
    labels = shown.values("svg", "aria-label")
    assert sum(label.startswith("Precision-recall and ROC curves") for label in labels) == 3
    assert "3 methods by average rank over 3 models, Nemenyi test at 5%" in labels


def test_nothing_is_fetched_and_nothing_runs(board: Board):
    made = page(board)
    assert b"&lt;script" in made and b"default-src 'none'" in made
    tags = Page(made).tags
    assert {tag for tag, _ in tags}.isdisjoint({"script", "link", "iframe", "object", "embed", "image", "img", "use"})
    assert {name for _, given in tags for name in given}.isdisjoint({"src", "href", "xlink:href", "onload", "onclick"})
    assert {*re.findall(rb"url\(.|@import", made)} == {b"url(#"}


def test_means_are_those_of_the_evaluations(board: Board):
    means = {row.method: row for row in board.standings.edges}
    values = [one.edge.average_precision for one in board.judged["eap"] if one.edge is not None]
    assert means["eap"].mean("edge.average_precision") == pytest.approx(sum(values) / 3)
    nulls = [one.edge.structure.average_precision for one in board.judged["eap"] if one.edge is not None]
    assert means["structure null"].mean("edge.average_precision") == pytest.approx(sum(nulls) / 3)
    assert means["structure null"].mean("edge.above_structure") == pytest.approx(0)
    assert [row.method for row in board.standings.nodes][-1] == "chance"
    assert "hisp" not in means and "hisp" in {row.method for row in board.standings.nodes}


def test_a_months_models_stand_apart(folder: Path):
    drawn = {("previous_is_x", 1)}
    found = standings([one for entry in read_entries(folder) for one in entry.evaluations], drawn)
    assert found.groups[-1] == "fresh"
    eap = next(row for row in found.edges if row.method == "eap")
    assert eap.models == 2 and eap.means["fresh", "edge.average_precision"].models == 1
    assert found.ranks is None  # two models are left


def test_methods_that_lack_a_model_have_no_rank():
    evaluations = [invented(name, case, place / 4) for place, name in enumerate("abcd") for case in ("x", "y", "z")]
    found = standings(evaluations[:-1])
    assert found.ranks is not None and found.ranks.methods == ("c", "b", "a") and found.unranked == ("d",)


def test_other_models_do_not_count(folder: Path):
    other = {
        model: dataclasses.replace(entry, manifest_sha256="0" * 64) if model[1] == 1 else entry
        for model, entry in release().entries.items()
    }
    found = read_board(folder, dataclasses.replace(release(), entries=other))
    assert found.notes[0] == "eap: 1 evaluations are of other models than the bundle's, and do not count"
    assert {len(some) for some in found.judged.values()} == {2}


def test_numbers_that_were_changed_by_hand_are_seen(folder: Path, tmp_path: Path):
    text = (folder / "methods" / "hisp.json").read_text()
    (tmp_path / "methods").mkdir()
    changed = re.sub(r'"average_precision": [\d.]+', '"average_precision": 0.123', text, count=1)
    (tmp_path / "methods" / "hisp.json").write_text(changed)
    with pytest.raises(ValueError, match=r"hisp on frac_prevs/seed-0, seed 0: node.all.average_precision: found 0.123"):
        read_board(tmp_path, release())


def test_an_empty_board(tmp_path: Path):
    with pytest.raises(ValueError, match="leaderboard: found no evaluation on these models in"):
        read_board(tmp_path, release())


def test_errors_are_those_of_the_first_edges():
    labels = release().labels(("previous_is_x", 0))
    on, wrong, missed = labels.circuit.carries, Edge("m0", "logits"), Edge("m0", "a1.h0", "v")
    places = [1 if edge in on and edge != missed else 2 if edge == wrong else 3 for edge in edges(labels.config)]
    found = edge_errors(labels, places, "permuted")
    assert (found.false, found.missed, found.unseen) == ((wrong,), (missed,), ())
    assert {*found.found} == {*on} - {missed}
    # Positions in place show nothing of what the position embedding carries.
    plain = edge_errors(labels, places, "plain")
    assert {*plain.unseen} == {Edge("pos_embed", "a1.h0", "q"), Edge("pos_embed", "a1.h0", "k")}
    drawn = circuit_chart(labels.circuit, plain, "a picture")
    assert [drawn.count(f'class="circuit {kind}"') for kind in ("found", "false", "missed", "unseen")] == [2, 1, 1, 2]
