"""Text for people: what files and arguments hold is made safe to print, and short enough to read; times in words."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 120
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 8
_SHOWN = 200
"""Letters of a value that an error shows; nested ones, each of few entries, may be long in all."""
_MESSAGE = 1600
"""Letters of a message; names in it may come from files."""


def printable(text: str) -> str:
    """Replaces what a terminal would obey: names come from files that are not trusted."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def one_line(message: object) -> str:
    """Puts an error, or any other message, on one line that is safe to print and not too long to read."""
    return printable(_cut(" ".join(str(message).split()), _MESSAGE))


def shortened(found: object) -> str:
    """Shows a value that was found, cut where it is long."""
    return _cut(_REPR.repr(found), _SHOWN)


def listed(names: Sequence[object], most: int = 3) -> str:
    """Lists the first few of many names, and says how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def duration(seconds: float) -> str:
    """Puts a time into words: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _cut(text: str, length: int) -> str:
    """Leaves out the middle of a text that is longer than this."""
    half = (length - 3) // 2
    return text if len(text) <= length else f"{text[:half]}...{text[-half:]}"
