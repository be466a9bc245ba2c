"""Holds what the board knows of a method, and writes it as a file that people can read and compare by its lines."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from siit._text import printable
from siit.bundle.untrusted import parse
from siit.evaluation.dataclass_json import from_plain, to_plain
from siit.evaluation.files import FailedJob
from siit.evaluation.result import Evaluation, EvaluationSetting

FORMAT = "siit-leaderboard/1"
METHODS_FOLDER = "methods"
"""Of the entries, below the board's folder."""
SETTING = EvaluationSetting()
"""The one under which methods are compared, its seed apart: the default of `siit evaluate`."""
ABOUT_LETTERS = 300
_NAME = re.compile(r"\w[\w.]*(:\w[\w.]*)?")
_NUMBERS = re.compile(r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]")
"""A list of whole numbers, as `json` breaks it into lines."""


@dataclass(frozen=True)
class Entry:
    """A method on the board.

    Attributes:
        method: its name.
        method_sha256: of its file; None of siit's own methods.
        about: what it is, in the words of who submitted it; may be empty.
        evaluations: of the headline views, by case, seed of the model and seed; without scores.
        failed: what could not be evaluated.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """

    method: str
    method_sha256: str | None
    about: str
    evaluations: tuple[Evaluation, ...]
    failed: tuple[FailedJob, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.method):
            raise ValueError(f"method: found {self.method!r}, accepted is a name, or module:name")
        if len(self.about) > ABOUT_LETTERS or printable(self.about) != self.about:
            raise ValueError(f"about: found {self.about[:40]!r}..., accepted is a line of {ABOUT_LETTERS} letters")
        for number, one in enumerate(self.evaluations):
            if (one.method, one.method_sha256) != (self.method, self.method_sha256):
                raise ValueError(f"evaluations[{number}].method: found {one.method!r} or another file of it")

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.method.replace(':', '.')}.json"


def entry_bytes(entry: Entry) -> bytes:
    """Writes an entry as JSON, lists of numbers in one line each."""
    text = json.dumps({"format": FORMAT, **to_plain(entry)}, indent=1, allow_nan=False, ensure_ascii=False)
    flat = _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    return f"{flat}\n".encode()


def read_entry(path: Path) -> Entry:
    """Reads what `entry_bytes` wrote.

    Raises:
        ValueError: names the file, the field, what was found and what is accepted. OSError: it cannot be read.
    """
    data = parse(path.read_bytes(), path.name)
    try:
        if data.pop("format", None) != FORMAT:
            raise ValueError(f"format: found another one, accepted is {FORMAT!r}")
        entry = from_plain(Entry, data)
        if entry.file != path.name:
            raise ValueError(f"method: found {entry.method!r}, accepted is that of the file's name")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return entry


def read_entries(board: Path) -> list[Entry]:
    """Reads all entries of a board, by their names; none where there is no board yet.

    Raises:
        ValueError, OSError: see `read_entry`.
    """
    return [read_entry(path) for path in sorted((board / METHODS_FOLDER).glob("*.json"))]
