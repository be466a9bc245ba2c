"""Text from outside: what files and arguments hold is made safe to print, and short enough to read."""

from __future__ import annotations

import reprlib

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 120
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 8


def printable(text: str) -> str:
    """Replaces what a terminal would obey: names come from files that are not trusted."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def one_line(message: object) -> str:
    """Puts an error, or any other message, on one line that is safe to print."""
    return printable(" ".join(str(message).split()))


def shortened(found: object) -> str:
    """Shows a value that was found, cut where it is long."""
    return _REPR.repr(found)
