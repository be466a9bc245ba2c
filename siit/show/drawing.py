"""What was drawn, as an object that a notebook displays and that can be written."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siit.show.files import put_files

PAGE = "index.html"
_HEIGHT = 720


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A picture.

    Attributes:
        png: the picture as PNG.
        name: says what it shows.
    """

    png: bytes
    name: str

    def save(self, path: str | Path) -> Path:
        """Writes the picture as a PNG file, and returns its path."""
        Path(path).write_bytes(self.png)
        return Path(path)

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"Picture({self.name}; .save(path) writes it)"


@dataclass(frozen=True, eq=False, repr=False)
class Drawing:
    """All pictures of a model, and the page that holds them; a notebook displays the page.

    Attributes:
        files: file name -> content, see `siit.show.draw.draw_model`.
        name: says of which model.
    """

    files: Mapping[str, bytes]
    name: str

    def write(self, folder: str | Path) -> list[Path]:
        """Writes all files into a folder, which is made if need be, and returns their paths.

        Raises:
            ValueError: nothing can be written there, or it is a model's own folder.
        """
        return put_files(Path(folder), self.files)

    def picture(self, name: str) -> Picture:
        """Picks one picture: `circuit`, `attention` or `effects`.

        Raises:
            KeyError: there is none of this name.
        """
        return Picture(self.files[f"{name}.png"], f"{self.name}: {name}")

    def _repr_html_(self) -> str:
        # A frame of its own: the page's style and its policy stay within it.
        page = html.escape(self.files[PAGE].decode())
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {_HEIGHT}px; border: 0" sandbox></iframe>'

    def __repr__(self) -> str:
        return f"Drawing({self.name}: {', '.join(self.files)}; .write(folder) writes them)"
