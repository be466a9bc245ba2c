"""docs/evaluate.md: its code blocks run, in order, in an empty folder; and what it lists is all there is."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest
import torch

from siit.__main__ import main
from siit.discovery import METHODS
from siit.evaluation import REFERENCES, read_results, read_variables
from siit.evaluation.rating import rate
from siit.evaluation.result import HEADLINE
from siit.evaluation.variables.result import ALL, APART
from siit.evaluation.variables.table import COLUMNS
from siit.localization import METHODS as LOCATORS
from siit.scoring.ranking import chance
from tests.builders.discovery import DATA, certified

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "evaluate.md").read_text()
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", PAGE, re.S)


@pytest.mark.slow
def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("scipy")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "data").symlink_to(DATA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["siit"])
    commands = 0
    for language, code in BLOCKS:
        module = re.search(r"\((\w+\.py)\)", code.splitlines()[0])
        if module:
            Path(module[1]).write_text(code)
        elif language == "python":
            exec(compile(code, "docs/evaluate.md", "exec"), {})
        for line in code.splitlines() if language == "bash" else ():
            assert line.startswith("siit ")
            assert main(shlex.split(line)[1:]) == 0
            commands += 1
    assert commands == 5 and len(BLOCKS) == 11
    found = {one.method: one for one in read_results(Path("results/results.json")).evaluations}
    assert found["my_method:attribution"].edge == found["eap"].edge
    assert found["my_method:attribution"].backward == found["eap"].backward
    swept = read_results(Path("sweep/results.json"))
    assert len(swept.evaluations) == 4 * 3 * 2 * 2
    assert {one.second for one in swept.overview.agreements} == {"mean", "zero"}
    shown = re.findall(r"```text\n(.*?)```", PAGE, re.S)[1].splitlines()[1:]
    measured = read_variables(Path("results/variables.json")).means
    for line in shown:
        name, *cells = line.split()
        means = {one.measure: one.mean for one in measured if (one.group, one.method) == ("all", name)}
        assert [float(cell) for cell in cells[3:-1]] == pytest.approx([means[key] for key in COLUMNS][:-1], abs=2e-3)
    located = {one.method: one for one in read_variables(Path("located/variables.json")).evaluations}
    assert located["labels"].units["is_x"].views["apart"].average_precision == 1
    assert {one.views["apart"].top_1 for one in located["my_locator:moves"].units.values()} == {1.0}


def test_the_method_is_of_ten_lines():
    (code,) = [code for _, code in BLOCKS if "def attribution" in code]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


def test_a_method_of_transformerlens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("transformer_lens")
    (code,) = [code for _, code in BLOCKS if "my_lens_method.py" in code]
    (tmp_path / "my_lens_method.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["siit"])
    assert main(["evaluate", str(DATA), "method=my_lens_method:direct", "n_pairs=8"]) == 0
    (one,) = read_results(tmp_path / "results" / "results.json").evaluations
    assert one.level == "node" and one.node["all"].roc_auc > 0.5


def test_a_method_of_eap_ig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Stands in for the package: its Graph has the names of our graph file, and scores are those of the labels."""
    pytest.importorskip("transformer_lens")
    package, attribute, graph = (types.ModuleType(name) for name in ("eap", "eap.attribute", "eap.graph"))
    on = {name: edge["score"] for name, edge in certified().circuit.to_graph_json()["edges"].items()}

    places = {name: types.SimpleNamespace(matrix_index=(0, place)) for place, name in enumerate(on)}

    def from_model(hooked: Any) -> Any:
        return types.SimpleNamespace(edges=places)

    def get_scores_eap(hooked: Any, graph: Any, batches: Any, metric: Any, quiet: bool) -> torch.Tensor:
        for clean, _, label in batches:
            tokens, mask, lengths, _ = attribute.tokenize_plus(hooked, clean)
            assert metric(hooked(tokens, attention_mask=mask), None, lengths, label) > 0
        return -torch.tensor([list(on.values())])

    members = {"attribute": attribute, "graph": graph}
    for module, has in (
        (package, members),
        (attribute, {"torch": torch, "tokenize_plus": None, "get_scores_eap": get_scores_eap}),
        (graph, {"Graph": types.SimpleNamespace(from_model=from_model)}),
    ):
        module.__dict__.update(has)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    (code,) = [code for _, code in BLOCKS if "my_graph_method.py" in code]
    (tmp_path / "my_graph_method.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["siit"])
    arguments = ["method=my_graph_method:method", "corruption=plain", "n_pairs=8"]
    assert main(["evaluate", str(DATA), *arguments]) == 0
    (one,) = read_results(tmp_path / "results" / "results.json").evaluations
    assert one.edge["visible_no_embeddings"].average_precision == 1
    # Edges of both embeddings have one score, so that not even the labels reach 1 with them.
    assert one.edge["visible"].average_precision == pytest.approx(chance(3, 3).average_precision)


def test_the_table_is_what_was_measured():
    """Figures that do not hang on the machine, of the block that shows them."""
    shown = re.search(r"```text\n(.*?)```", PAGE, re.S)
    assert shown is not None
    rows = {line.split()[0]: line.split() for line in shown[1].splitlines()[1:]}
    from siit.evaluation import evaluate

    for method, row in rows.items():
        found = evaluate(certified(), method)
        rated = found.edge.get(HEADLINE)
        assert found.faithfulness is not None
        expected = [] if rated is None else [rated.average_precision]
        expected += [] if rated is None else [rated.average_precision - rated.structure.average_precision]
        expected += [] if rated is None else [rated.roc_auc]
        expected += [found.node["all"].average_precision, found.faithfulness.cpr, found.faithfulness.cmd]
        assert [float(cell) for cell in row[5:-1]] == pytest.approx(expected, abs=2e-3)


def test_the_page_names_all():
    named = set(re.findall(r"`(\w+)`", PAGE))
    labels = REFERENCES["labels"](certified(), 0)
    edges = {name: value for name, value in labels.items() if "->" in name}
    views = rate(certified(), {"edge": edges}, "permuted")
    assert {*METHODS, *REFERENCES, *views["edge"], *views["node"]} <= named
    assert {*LOCATORS, APART, ALL, "at_nodes", "at_others", "together", "untouched"} <= named
    assert "evaluate" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
