"""Writes what a suite came to, from its folder alone: `suite.json`, `gallery.html`, and pages that it links."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from siit.show.draw import draw_model
from siit.show.drawing import PAGE
from siit.show.files import check_out, put_files
from siit.show.thumbnail import circuit_thumbnail
from siit.suite.gallery import gallery
from siit.suite.models import OUTCOMES, SuiteModel, read_models

SUITE_FILE, GALLERY_FILE = "suite.json", "gallery.html"
PAGES = "pages"
SUITE_FORMAT = "siit-suite/1"


def write_report(root: Path, *, pages: bool, say: Callable[[str], object]) -> list[SuiteModel]:
    """Reads all models below a root, and writes `suite.json` and `gallery.html` beside them.

    Args:
        root: of the bundles.
        pages: whether each certified model without a page gets one; those that are there are linked in any case.
        say: is told of what is not as it should be, a line at a time.

    Returns:
        The models, by case and seed.

    Raises:
        ValueError: no model is there, nothing can be written, or a file of a sweep is damaged.
        ImportError: pages are asked for, and matplotlib is not installed; names the extra.
    """
    check_out(root)
    models: list[SuiteModel] = []
    pictures: dict[str, bytes] = {}
    missing: str | None = None
    for model, bundle in read_models(root):
        models.append(model)
        if bundle is None or model.path is None or not model.certified:
            continue
        if pages and not _page_stands(root, model):
            put_files(root / page_folder(model), draw_model(bundle))
        try:
            pictures[model.path] = circuit_thumbnail(bundle.circuit, model.name, needed_by="siit suite")
        except ImportError as error:
            missing = str(error)
    if not models:
        raise ValueError(f"out: found no models in {root}, accepted is a folder that `siit suite` or `siit train` made")
    if missing is not None:
        say(f"{GALLERY_FILE} has no pictures: {missing}")
    models.sort(key=lambda model: (model.case, isinstance(model.seed, str), model.seed))
    linked = {model.path: f"{page_folder(model)}/{PAGE}" for model in models if model.path and _has_page(root, model)}
    put_files(root, {SUITE_FILE: suite_json(models), GALLERY_FILE: gallery(models, pictures, linked)})
    return models


def page_folder(model: SuiteModel) -> str:
    """Tells where a model's page is, below the root."""
    return f"{PAGES}/{model.case}-seed-{model.seed}"


def suite_json(models: Sequence[SuiteModel]) -> bytes:
    """Makes the content of `suite.json`: how many there are of each outcome, and every model."""
    counts = Counter(model.outcome for model in models)
    content = {
        "format": SUITE_FORMAT,
        "outcomes": {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]},
        "models": [dataclasses.asdict(model) for model in models],
    }
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _has_page(root: Path, model: SuiteModel) -> bool:
    return (root / page_folder(model) / PAGE).is_file()


def _page_stands(root: Path, model: SuiteModel) -> bool:
    """Tells whether a model's page is there and no older than the model."""
    assert model.path is not None
    page = root / page_folder(model) / PAGE
    return page.is_file() and page.stat().st_mtime >= (root / model.path).stat().st_mtime
