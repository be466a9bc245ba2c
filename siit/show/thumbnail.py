"""Makes pictures small enough that a page holds hundreds of them."""

from __future__ import annotations

import io

from siit._extras import require
from siit.graph.circuit import Circuit

_COLOURS = 256


def circuit_thumbnail(circuit: Circuit, model: str, *, needed_by: str) -> bytes:
    """Draws a small picture of a circuit, as PNG.

    Args:
        circuit: the labels.
        model: what people call it, for the title.
        needed_by: the command that asks.

    Raises:
        ImportError: matplotlib is not installed; names the extra.
    """
    require("matplotlib", extra="show", needed_by=needed_by)
    from siit.show.circuit_picture import circuit_picture

    return thumbnail(circuit_picture(circuit, f"{model}: the circuit"))


def thumbnail(png: bytes) -> bytes:
    """Halves a picture's width and height, and keeps 256 colours: a quarter of the bytes, and letters stay readable.

    Args:
        png: a picture as PNG.
    """
    # Comes with matplotlib, which drew the picture.
    from PIL import Image

    with Image.open(io.BytesIO(png)) as picture:
        half = (max(picture.width // 2, 1), max(picture.height // 2, 1))
        small = picture.convert("RGB").resize(half, Image.Resampling.LANCZOS)
    # With fewer colours those of thin lines are mixed, which tell the slots apart; other methods tint wide areas.
    few = small.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
