"""The pages of a repository: the card's front matter and table, and Croissant metadata that its own validator takes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

import siit
from siit.bundle import read_bundle, render_card
from siit.bundle._card import Unreadable
from siit.bundle._summary import Summary, summarize
from siit.hub.croissant import render_croissant
from siit.hub.models import PackedModel, pack_models
from tests.builders import handmade


@pytest.fixture(scope="module")
def packed(pristine: Path) -> list[PackedModel]:
    return pack_models(pristine, recheck=False, allow_uncertified=False, report=lambda line: None)


@pytest.fixture(scope="module")
def summary(packed: list[PackedModel]) -> Summary:
    return packed[0].summary


def row(model: Summary | Unreadable) -> list[str]:
    """The cells of the only model's row."""
    lines = [line for line in render_card([model]).splitlines() if line.startswith("| ")]
    assert [line.count("|") for line in lines] == [15, 15, 15]  # no place, so no code that loads it
    return [cell.strip() for cell in lines[2].strip("|").split("|")]


def test_front_matter(summary: Summary):
    card = ModelCard(render_card([summary], repo_id="org/name"))
    data = card.data.to_dict()
    assert (data["license"], data["library_name"]) == ("mit", "siit")
    assert "mechanistic-interpretability" in data["tags"]
    assert set(data) == {"license", "library_name", "tags"}
    for words in ("arXiv:2407.14494", "arXiv:2301.05062", "## Limits", "## How they were certified"):
        assert words in card.text


def test_tiers_have_tables_with_the_code_that_loads_each_model_and_pictures(summary: Summary):
    other = dataclasses.replace(summary, case="other", tier="deep", seed=7)
    broken = Unreadable("toy", 3, "KeyError")
    pictures = {"other/seed-7": "pictures/other-seed-7.png"}
    card = render_card([summary, broken, other], repo_id="org/name", revision="v2", pictures=pictures)
    models = card[card.index("## Models") : card.index("## Limits")]
    assert "By tier: [composed](#composed) (1), [deep](#deep) (1), [damaged](#damaged) (1)." in models
    _, composed, deep, damaged = models.split("\n### ")
    assert '| `siit.load("org/name", "previous_is_x", seed=0, revision="v2")` |' in composed
    assert '| `siit.load("org/name", "other", seed=7, revision="v2")` |' in deep
    assert "siit.load" not in damaged and "| toy | 3 | cannot be read: KeyError |" in damaged
    assert "![The circuit of other/seed-7](pictures/other-seed-7.png)" in deep and "details" not in composed


def test_the_citation_is_that_of_the_file(summary: Summary):
    cited = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text())
    card = render_card([summary, dataclasses.replace(summary, case="ioi")])
    assert "2211.00593" not in render_card([summary])
    assert cited["version"] == siit.__version__
    assert f"version = {{{siit.__version__}}}" in card and cited["title"].replace("siit:", "{siit}:") in card
    for reference in cited["references"]:
        assert reference["title"].replace("InterpBench:", "{InterpBench}:") in card


def test_a_row(summary: Summary):
    assert row(summary) == ["previous_is_x", "0", "composed", "2", "2", "5", "yes", *["100.00 %"] * 7]


def test_a_row_of_bad_numbers(summary: Summary):
    """Percentages are rounded down: 0.99896 is below the bar and must not read 99.90 %."""
    certificate = dataclasses.replace(
        summary.certificate,
        certified=False,
        accuracy=0.999,
        iia=0.99896,
        strict_node=0.98765,
        details={"strict_node": {"a0.h0": 0.98765, "m1": 1.0}},
        strict_joint=1.0,
        joint_mean=0.5,
        strict_adversarial=0.97,
        edge_iia=None,
    )
    numbers = ["99.90 %", "99.89 %", "–", "98.76 % (`a0.h0`)", "100.00 %", "50.00 %", "97.00 %"]
    changed = dataclasses.replace(summary, certificate=certificate)
    assert row(changed)[6:] == ["**NO**", *numbers]
    nothing = {**certificate.evidence, "nothing_measured": ["strict_edge"]}
    certificate = dataclasses.replace(certificate, evidence=nothing, joint_zero=None)
    assert row(dataclasses.replace(summary, certificate=certificate))[11:] == ["there is none", "–", "97.00 %"]


def test_a_model_that_cannot_be_read():
    assert row(Unreadable("toy", 3, "KeyError"))[:3] == ["toy", "3", "cannot be read: KeyError"]


def test_a_folders_own_card(pristine: Path):
    card = (pristine / "README.md").read_text()
    assert 'siit.load("<this repository, or a folder>", "previous_is_x", seed=0)' in card
    assert "recheck" not in card
    folder = pristine / "previous_is_x/seed-0"
    assert summarize(read_bundle(folder, weights=False, evidence=False)) == summarize(read_bundle(folder))


def test_a_damaged_folder_is_listed_as_such(tmp_path: Path):
    folder = handmade.put(tmp_path)
    (folder / "circuit.json").write_text("{}")
    handmade.put(tmp_path, seed=1)
    assert "| previous_is_x | 0 | cannot be read: circuit.json: " in (tmp_path / "README.md").read_text()


def test_croissant(packed: list[PackedModel], tmp_path: Path):
    """By MLCommons' own validator, which reports what it would like better as warnings."""
    # Only here: it takes a second to import, with pandas and rdflib.
    import mlcroissant

    path = tmp_path / "croissant.json"
    path.write_bytes(render_croissant(packed, "org/name", "https://huggingface.co/org/name", "main"))
    dataset = mlcroissant.Dataset(path)
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    assert list(dataset.records("tiers")) == [{"tiers/name": "composed"}]
    rows = list(dataset.records("models"))
    assert [row["models/evaluation"] for row in rows] == [
        f"previous_is_x/seed-{seed}/evaluation.safetensors" for seed in (0, 1)
    ]
    assert {(row["models/tier"], row["models/pairs"], row["models/positions"]) for row in rows} == {
        ("composed", 256, 5)
    }


def test_croissant_names_the_evidence(packed: list[PackedModel], pristine: Path):
    url = "https://huggingface.co/org/name"
    content = json.loads(render_croissant(packed, "org/name", url, "v2"))
    manifest = json.loads((pristine / "previous_is_x/seed-0/manifest.json").read_text())
    listed = manifest["files"]["evaluation.safetensors"]
    assert content["distribution"][0] == {
        "@type": "cr:FileObject",
        "@id": "previous_is_x/seed-0/evaluation.safetensors",
        "name": "previous_is_x/seed-0/evaluation.safetensors",
        "description": "256 pairs of previous_is_x, seed 0, in safetensors.",
        "contentUrl": f"{url}/resolve/v2/previous_is_x/seed-0/evaluation.safetensors",
        "contentSize": f"{listed['size']} B",
        "encodingFormat": "application/octet-stream",
        "sha256": listed["sha256"],
    }
