"""Prints so that printing decides nothing: neither a result nor an exit status depends on who reads along, and how."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast


class Steady:
    """Stands before a stream, and never raises: where its reader has gone, or its disk is full, it goes silent.

    Letters that the stream's encoding lacks become question marks.

    Args:
        stream: what is written to; None where the process has none.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._silent = stream, stream is None

    def write(self, text: str) -> int:
        """Writes what can be written; returns the length of it all."""
        if self._stream is not None and not self._silent:
            try:
                self._write(self._stream, text)
            except (OSError, ValueError):
                self._go_silent()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes each of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands on what is waiting."""
        if self._stream is not None and not self._silent:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._go_silent()

    def isatty(self) -> bool:
        """Tells whether a terminal shows it."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _write(self, stream: Any, text: str) -> None:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, errors="replace").decode(encoding))

    def _go_silent(self) -> None:
        self._silent = True
        # What waits in its buffer would raise again when the process ends.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, cast(TextIO, self._stream).fileno())
            os.close(nowhere)


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Makes the process' streams steady while something runs: what libraries print cannot end it either."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(TextIO, Steady(sys.stdout)), cast(TextIO, Steady(sys.stderr))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def say(text: str, *, error: bool = False) -> None:
    """Prints a line at once.

    Args:
        text: the line, or several.
        error: whether it goes to the stream for errors.
    """
    print(text, file=Steady(sys.stderr if error else sys.stdout), flush=True)
