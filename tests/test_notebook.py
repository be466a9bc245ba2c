"""The quickstart runs as it stands, and shows what it says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parents[1]


def _printed(notebook: Any) -> list[str]:
    """What each code cell printed, warnings apart."""
    return [
        "".join(output["text"] for output in cell["outputs"] if output.get("name") == "stdout")
        for cell in notebook.cells
        if cell["cell_type"] == "code"
    ]


@pytest.mark.slow
def test_the_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is executed in an empty folder, as anywhere; what it prints is what the page shows."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib")
    pytest.importorskip("transformer_lens")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(_ROOT / "docs/quickstart.ipynb", as_version=4)
    nbformat.validate(notebook)
    stored = _printed(notebook)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    printed = _printed(notebook)
    # What comes from files and labels, and the score; the digits of runs between may differ between machines.
    loaded, _, circuit, _, _, score = printed
    assert [stored[0], stored[2], stored[-1]] == [loaded, circuit, score]
    assert "LoadedModel frac_prevs, seed 0, certified" in loaded
    assert "certified          True" in circuit
    assert "patching   ROC AUC 1.000  average precision 1.000" in score
    assert any("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert not any(tmp_path.iterdir())
