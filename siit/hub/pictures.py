"""Pictures of a bundle's circuits for its card, where what draws them is installed."""

from __future__ import annotations

from collections.abc import Sequence

from siit.bundle import File
from siit.hub.models import PackedModel, Report
from siit.show.thumbnail import circuit_thumbnail

PICTURES = "pictures"
"""The folder of the repository that holds them."""


def draw_pictures(models: Sequence[PackedModel], report: Report) -> dict[str, File]:
    """Draws each model's circuit.

    Args:
        models: in any order.
        report: is told where nothing can be drawn.

    Returns:
        Path of a model -> its picture; nothing where matplotlib is missing.
    """
    drawn: dict[str, File] = {}
    for model in models:
        summary = model.summary
        try:
            png = circuit_thumbnail(model.circuit, f"{summary.case}, seed {summary.seed}", needed_by="siit publish")
        except ImportError as error:
            report(f"The card gets no pictures: {error}")
            return {}
        drawn[summary.path] = File.of(png)
    return drawn


def picture_path(model: str) -> str:
    """Tells where the picture of a model is in the repository, by the model's path."""
    return f"{PICTURES}/{model.replace('/', '-')}.png"
