"""What a dry run leaves to look at: the pages of a repository, as they would be there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from siit.bundle import File

PREVIEW = ".preview"


def write_preview(root: Path, pages: Mapping[str, File]) -> Path:
    """Writes pages into the folder `.preview` of a bundle, in the place of earlier ones.

    Args:
        root: of the bundle.
        pages: by their path in the repository; their content is in memory.

    Returns:
        The folder.
    """
    folder = root / PREVIEW
    if folder.exists():
        shutil.rmtree(folder)
    for path, file in pages.items():
        assert isinstance(file.content, bytes)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.content)
    return folder
