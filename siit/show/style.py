"""How all pictures look: colours that colour-blind people tell apart, letters."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, GREY, PALE, FAINT, WRONG = "#1d2433", "#5b6475", "#aab1be", "#eef0f4", "#c2410c"
PALE_TEXT = "#7d8696"
MEMBER, BAND = "#e3ecfa", "#f8f9fb"
# Okabe and Ito's palette.
SLOT_COLOURS = {"q": "#d55e00", "k": "#0072b2", "v": "#009e73", None: "#555555"}
SLOT_NAMES = {"q": "q (query)", "k": "k (key)", "v": "v (value)", None: "into an MLP or the logits"}
MAP = "Blues"
_DPI, _MOST_PIXELS = 160, 12_000


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib with our settings, whatever the user's are; no text is taken for mathematics."""
    ours = {"font.family": "DejaVu Sans", "text.parse_math": False, "text.color": INK, "axes.edgecolor": PALE}
    with warnings.catch_warnings(), matplotlib.rc_context():
        # What the font lacks is a box in the picture; the page has the text itself.
        warnings.filterwarnings("ignore", message=r"Glyph \d+")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours)
        yield


def figure(width: float, height: float) -> Figure:
    """Makes an empty white figure; inches."""
    made = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(made)
    return made


def png(drawn: Figure, dpi: int = _DPI) -> bytes:
    """Makes a PNG of a figure, of so many dots per inch at most."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=min(dpi, _MOST_PIXELS / max(drawn.get_size_inches())), metadata={})
    return buffer.getvalue()


def text_on(value: float) -> str:
    """Chooses the colour of text on the map's colour of a value from 0 to 1."""
    return "white" if value > 0.55 else INK


def colour(value: float) -> tuple[float, float, float, float]:
    """Finds the map's colour of a value from 0 to 1."""
    return matplotlib.colormaps[MAP](value)
