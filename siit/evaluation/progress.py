"""Shows how a sweep goes on: a table that fills where there is a terminal, else a line for each job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic

from rich.console import Console
from rich.live import Live
from rich.text import Text

from siit._console import say
from siit._text import printable
from siit.evaluation.track import Evaluated, FoundType, Lost


def title(one: Evaluated | Lost) -> str:
    """Names a job for people."""
    return f"{one.case}/seed-{one.model_seed} {one.method} {one.setting.words}"


@dataclass(eq=False)
class Progress(Generic[FoundType]):
    """Tells of jobs as they are done.

    Attributes:
        total: how many jobs there are.
        figures: words what counts most of an evaluation.
        summary: lays out what was found so far, for a narrow terminal.
        done: evaluations so far.
        lost: failures so far.
        reused: how many were there already.
    """

    total: int
    figures: Callable[[FoundType], str]
    summary: Callable[[Sequence[FoundType]], Sequence[str]]
    done: list[FoundType] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    reused: int = 0

    def __enter__(self) -> Progress[FoundType]:
        console = Console(highlight=False, markup=False)
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            # What comes next shows the same again.
            self._live.update(Text(""), refresh=True)
            self._live.stop()

    def evaluated(self, evaluation: FoundType, *, again: bool) -> None:
        """Shows an evaluation."""
        self.done.append(evaluation)
        self.reused += again
        self._show(f"{title(evaluation)}: {self.figures(evaluation)}{' (done before)' if again else ''}")

    def failed(self, failed: Lost) -> None:
        """Shows what could not be evaluated."""
        self.lost.append(failed)
        self._show(f"{title(failed)}: failed: {failed.error}", stays=True)

    def note(self, text: str) -> None:
        """Shows a line."""
        self._line(printable(text))

    def _show(self, text: str, stays: bool = False) -> None:
        ended = len(self.done) + len(self.lost)
        if self._live is None or stays:
            self._line(f"[{ended}/{self.total}] {printable(text)}")
        if self._live is not None:
            head = f"{ended} of {self.total}, {self.reused} done before, {len(self.lost)} failed"
            shown = [head, *self.summary(self.done)]
            self._live.update(Text("\n".join(shown), no_wrap=True), refresh=True)

    def _line(self, text: str) -> None:
        if self._live is None:
            say(text)
        else:
            self._live.console.print(text, soft_wrap=True)
