"""The report of a folder: what `suite.json` holds, that the gallery has every model, and that nothing in it runs."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from siit.bundle import WEIGHTS_FILE
from siit.show.circuit_picture import circuit_picture
from siit.show.style import SLOT_COLOURS
from siit.show.thumbnail import thumbnail
from siit.suite.gallery import gallery
from siit.suite.models import DAMAGED, NOT_BEGUN, UNFINISHED, SuiteModel
from siit.suite.outcomes import (
    ALLOWED,
    CERTIFIED,
    ELSEWHERE,
    FAILED,
    NOT_CERTIFIED,
    PLAN_FILE,
    SWEEPS,
    Outcome,
    last_outcomes,
    never_begun,
    write_plan,
)
from siit.suite.report import GALLERY_FILE, SUITE_FILE, write_report
from siit.suite.summary import shortfalls, tier_table
from tests.builders import handmade
from tests.builders.shown import EVIL

_ALONE = {"meta", "img"}
"""Elements that are never closed."""


class Page(HTMLParser):
    """Reads a page, and fails where an element is closed that is not the last one open."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] or "" for name, found in self.tags if name == tag and attribute in found]


def put(root: Path, seed: int, **changes: Any) -> Path:
    return handmade.put(root, case="reverse", seed=seed, extra_files={"training.json": RECORD}, **changes)


RECORD = b'{"steps": 1500, "seconds": {"wall": 99.5, "cpu": 61.5}}'
MISSED = ("accuracy: 0.9 is 0.099 below 0.999", "iia: 0.5 is below")


def outcomes(root: Path) -> None:
    """Leaves how jobs of two sweeps ended."""
    said = ("worst: sort",)
    stuck = Outcome(0, "largest_depth", 0, (), NOT_CERTIFIED, MISSED[0], 200, 9.5, 7.5, MISSED, said, began=5.0)
    jobs = [
        ("1", Outcome(0, "reverse", 0, (), FAILED, "was mended since", began=1.0)),
        ("1", Outcome(1, "largest_depth", 0, (), FAILED, "was tried again", began=2.0)),
        ("2", stuck),
        ("2", Outcome(1, "ioi", "x", (), FAILED, "seed: found 'x'", began=6.0)),
        ("2", Outcome(2, "ioi", 1, (), began=7.0)),
        ("2", Outcome(3, "square", 1, (), CERTIFIED, began=8.0)),
    ]
    for sweep, job in jobs:
        job.write(root / SWEEPS / sweep)
    write_plan(root / SWEEPS / "1", [("reverse", 0), ("largest_depth", 0), ("median", 0)], began=1.0)
    # The second began last; its last three never did, and one of them is there.
    jobs_of_second = [(job.case, job.seed) for sweep, job in jobs if sweep == "2"]
    write_plan(root / SWEEPS / "2", [*jobs_of_second, ("sort_ints", 0), ("reverse", 1), ("sort_ints", 1)], began=5.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two certified models, an uncertified and a damaged one, with what failed jobs left."""
    folder = tmp_path_factory.mktemp("suite")
    put(folder, 0)
    put(folder, 1)
    weights = handmade.broken()
    put(folder, 2, parameters=weights, certificate=handmade.certify(weights).to_json())
    (put(folder, 10) / WEIGHTS_FILE).write_bytes(b"not these")
    outcomes(folder)
    return folder


@pytest.fixture(scope="module")
def models(root: Path) -> list[SuiteModel]:
    said: list[str] = []
    found = write_report(root, pages=False, say=said.append)
    assert said == []
    return found


def test_it_tells_how_each_model_ended(models: list[SuiteModel]):
    assert [(model.case, model.seed, model.outcome, model.status) for model in models] == [
        ("ioi", 1, UNFINISHED, 2),
        ("ioi", "x", FAILED, 2),
        ("largest_depth", 0, NOT_CERTIFIED, 1),
        ("reverse", 0, CERTIFIED, 0),
        ("reverse", 1, CERTIFIED, 0),
        ("reverse", 2, ALLOWED, 0),
        ("reverse", 10, DAMAGED, 2),
        ("sort_ints", 0, NOT_BEGUN, 2),
        ("sort_ints", 1, NOT_BEGUN, 2),
    ]


def test_a_plan_that_is_none(tmp_path: Path):
    folder = tmp_path / SWEEPS / "1"
    write_plan(folder, [("reverse", 0)], began=1.0)
    assert never_begun(tmp_path) == [("reverse", 0)]
    for content in ("{", "[]", '{"began": 1}', '{"began": 1, "models": [3]}'):
        (folder / PLAN_FILE).write_text(content)
        with pytest.raises(ValueError, match=f"{PLAN_FILE}: found no plan of a suite; delete the file"):
            never_begun(tmp_path)


def test_the_json_s_content(root: Path, models: list[SuiteModel]):
    found = json.loads((root / SUITE_FILE).read_text())
    assert found["format"] == "siit-suite/1" and len(found["models"]) == len(models)
    assert found["outcomes"] == {
        CERTIFIED: 2,
        ALLOWED: 1,
        NOT_CERTIFIED: 1,
        FAILED: 1,
        UNFINISHED: 1,
        NOT_BEGUN: 2,
        DAMAGED: 1,
    }
    weights = (root / "reverse/seed-0" / WEIGHTS_FILE).read_bytes()
    certified = found["models"][3]
    worst = certified.pop("worst")
    assert certified == {
        "case": "reverse",
        "seed": 0,
        "tier": "composed",
        "family": "reordering",
        "outcome": CERTIFIED,
        "certificate": "siit-certificate/2",
        "steps": 1500,
        "cpu_seconds": 61.5,
        "circuit_nodes": 2,
        "circuit_edges": 5,
        "failed": [],
        "diagnosis": [],
        "path": "reverse/seed-0",
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    certificate = json.loads((root / "reverse/seed-0/certificate.json").read_text())
    assert len(worst) == 10 and all(worst[field] == certificate[field] for field in worst)
    stuck = found["models"][2]
    assert (stuck["steps"], stuck["cpu_seconds"], stuck["tier"], stuck["path"]) == (200, 7.5, "deep", None)
    assert (stuck["failed"], stuck["diagnosis"]) == (list(MISSED), ["worst: sort"])
    (damage,) = found["models"][6]["diagnosis"]
    assert damage.startswith("model.safetensors: size: found '9 bytes', accepted is")


def test_the_gallery_has_every_model(root: Path, models: list[SuiteModel]):
    page = Page((root / GALLERY_FILE).read_bytes())
    certified = [model for model in models if model.outcome == CERTIFIED]
    assert page.values("img", "alt") == [f"The circuit of {model.name}" for model in certified]
    for source in page.values("img", "src"):
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64" and base64.b64decode(data).startswith(b"\x89PNG")
    for words in (
        *(model.name for model in models),
        *("reordering; 2 heads and MLPs, 5 edges; 1,500 steps; 62 s of CPU time", "strict_adversarial"),
        *("worst: sort", "accuracy: 0.9 is 0.099 below 0.999 (1 more fall short)", "seed: found 'x'"),
        *(model.weights_sha256 or "" for model in certified),
    ):
        assert words in page.text, words
    places = [place.removeprefix("#") for place in page.values("a", "href")]
    assert places == ["composed", "others"] and set(places) <= {found.get("id") for _, found in page.tags}


@pytest.mark.slow
def test_pages_are_written_once_and_linked(root: Path, models: list[SuiteModel]):
    page = root / "pages/reverse-seed-1/index.html"
    write_report(root, pages=True, say=print)
    written = page.stat().st_mtime_ns
    write_report(root, pages=True, say=print)
    assert page.stat().st_mtime_ns == written
    links = Page((root / GALLERY_FILE).read_bytes()).values("a", "href")
    assert [link for link in links if not link.startswith("#")] == [
        "pages/reverse-seed-0/index.html",
        "pages/reverse-seed-1/index.html",
    ]


def test_a_certificate_of_the_first_kind_is_called_so(tmp_path: Path):
    put(tmp_path, 0, certificate=handmade.first_kind(handmade.certificate()))
    (model,) = write_report(tmp_path, pages=False, say=print)
    assert (model.outcome, model.status) == ("certified, of the first kind", 0)
    assert "0: certified" not in "".join(shortfalls([model]))
    page = Page((tmp_path / GALLERY_FILE).read_bytes())
    assert "certified, of the first kind; reordering" in page.text and len(page.values("img", "src")) == 1


def test_a_small_picture_keeps_the_colours_of_the_slots():
    picture = circuit_picture(handmade.CIRCUIT, "a circuit")
    small = matplotlib.image.imread(io.BytesIO(thumbnail(picture)), format="png")
    whole = matplotlib.image.imread(io.BytesIO(picture), format="png")
    assert abs(2 * small.shape[1] - whole.shape[1]) < 2 and len(thumbnail(picture)) < len(picture) / 4
    for slot, colour in SLOT_COLOURS.items():
        near = np.abs(small[..., :3] - matplotlib.colors.to_rgb(colour)).max(-1).min()
        assert near < 0.1, slot


def test_nothing_in_it_runs_or_is_fetched():
    model = SuiteModel(EVIL, 0, "deep", EVIL, CERTIFIED, steps=1, worst={EVIL: 0.5}, path=EVIL, weights_sha256=EVIL)
    failed = dataclasses.replace(model, outcome=FAILED, diagnosis=(EVIL,), tier=EVIL, path=None)
    page = Page(gallery([model, failed], {EVIL: b"\x89PNG"}, {EVIL: f"pages/{EVIL}/index.html"}))
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "nav", "a", "div", "article"),
        *("figure", "img", "details", "summary", "table", "tr", "th", "td", "code"),
    }
    (policy,) = page.values("meta", "content")[:1]
    assert policy.startswith("default-src 'none'")
    assert [link for link in page.values("a", "href") if not link.startswith(("#", "pages/%3Cscript"))] == []
    assert "\x1b" not in page.text and "<script src=" in page.text, "a text like any other"


def test_the_table_and_what_is_wrong(models: list[SuiteModel]):
    text = io.StringIO()
    Console(file=text, width=250).print(tier_table(models))
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.getvalue().splitlines()]
    by_name = {row[0]: row[1:] for row in rows if len(row) > 5}
    assert by_name["all"][:7] == ["2", "1", "1", "1", "1", "2", "1"]
    assert by_name["composed"][-3:] == ["3 min", "reverse, seed 0: 62 s", "1.00000"]
    assert by_name["deep"] == ["0", "0", "1", "0", "0", "0", "0", "8 s", "largest_depth, seed 0: 8 s", ""]
    lines = shortfalls(models)
    assert lines[:2] == ["ioi, seed 1: not finished: nothing says why", "ioi, seed x: failed: seed: found 'x'"]
    assert lines[2:4] == [
        "largest_depth, seed 0: not certified: accuracy: 0.9 is 0.099 below 0.999 (1 more fall short)",
        "  worst: sort",
    ]
    assert lines[4].startswith("reverse, seed 10: damaged: model.safetensors: ")


def test_without_matplotlib_it_has_no_pictures(root: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(*arguments: object, **named: object) -> None:
        raise ImportError("found no matplotlib")

    monkeypatch.setattr("siit.show.thumbnail.require", missing)
    said: list[str] = []
    write_report(root, pages=False, say=said.append)
    assert said == ["gallery.html has no pictures: found no matplotlib"]
    assert Page((root / GALLERY_FILE).read_bytes()).values("img", "src") == []


def test_what_is_no_outcome_is_named(tmp_path: Path):
    (tmp_path / SWEEPS / "1").mkdir(parents=True)
    (tmp_path / SWEEPS / "1/0.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"0\.json: found no outcome of a job; delete the file"):
        write_report(tmp_path, pages=False, say=print)


def test_a_job_that_was_refused_takes_nothing_back(tmp_path: Path):
    """As where the same suite is started again with another model's sizes, before it trains a step."""
    measured = Outcome(0, "reverse", 0, (), NOT_CERTIFIED, MISSED[0], 200, failed=MISSED, began=1.0)
    measured.write(tmp_path / SWEEPS / "1")
    Outcome(0, "reverse", 0, (), FAILED, "a checkpoint of another configuration", began=2.0).write(
        tmp_path / SWEEPS / "2"
    )
    assert last_outcomes(tmp_path) == {("reverse", 0): measured}
    failed = Outcome(0, "reverse", 0, (), FAILED, "weights that are not finite", 300, began=3.0)
    failed.write(tmp_path / SWEEPS / "3")
    assert last_outcomes(tmp_path) == {("reverse", 0): failed}


def test_a_model_in_the_hands_of_another_process_has_not_failed(tmp_path: Path):
    """As where two suites train into one folder at once."""
    held = Outcome(0, "reverse", 0, (), ELSEWHERE, "process 7 on here trains it", began=2.0)
    held.write(tmp_path / SWEEPS / "2")
    (model,) = write_report(tmp_path, pages=False, say=print)
    assert (model.outcome, model.diagnosis, model.status) == (UNFINISHED, (held.why,), 2)
    running = Outcome(0, "reverse", 0, (), began=1.0)
    running.write(tmp_path / SWEEPS / "1")
    assert last_outcomes(tmp_path) == {("reverse", 0): running}
