"""Reads a board: all that was submitted, checked anew against the labels, and what it says of these models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siit.leaderboard.check import Judged, judge_all
from siit.leaderboard.entry import Entry, read_entries
from siit.leaderboard.month import Month
from siit.leaderboard.release import Model, Release
from siit.leaderboard.standings import Standings, standings


@dataclass(frozen=True, eq=False)
class Board:
    """A board, on the models of a release.

    Attributes:
        entries: of all methods, by name.
        judged: method -> its evaluations on these models.
        standings: where the methods stand.
        models: of the release, the fresh ones apart.
        fresh: the month's models.
        month: None where there is none.
        notes: what is on the board and does not count, in lines.
    """

    entries: tuple[Entry, ...]
    judged: Mapping[str, tuple[Judged, ...]]
    standings: Standings
    models: tuple[Model, ...]
    fresh: tuple[Model, ...]
    month: Month | None
    notes: tuple[str, ...]


def read_board(folder: Path, release: Release, month: Month | None = None) -> Board:
    """Reads a board and checks it.

    Args:
        folder: of the board.
        release: the models that count; evaluations of others, or of others of the same name, do not.
        month: whose models are fresh, and stand apart.

    Raises:
        ValueError: names what was found and what is accepted; also where nothing is there.
    """
    entries = read_entries(folder)
    judged: dict[str, tuple[Judged, ...]] = {}
    notes = []
    for entry in entries:
        known = {model: one.manifest_sha256 for model, one in release.entries.items()}
        ours = [one for one in entry.evaluations if known.get((one.case, one.model_seed)) == one.manifest_sha256]
        judged[entry.method] = tuple(judge_all(ours, release))
        if others := len(entry.evaluations) - len(ours):
            notes.append(
                f"{entry.method}: {others} evaluations are of other models than the bundle's, and do not count"
            )
    found = [one.evaluation for some in judged.values() for one in some]
    if not found:
        raise ValueError(f"leaderboard: found no evaluation on these models in {folder}, accepted are some")
    drawn = {*month.models} if month else set()
    return Board(
        entries=tuple(entries),
        judged=judged,
        standings=standings(found, drawn),
        models=tuple(sorted(release.entries.keys() - drawn)),
        fresh=tuple(sorted(release.entries.keys() & drawn)),
        month=month,
        notes=tuple(notes),
    )
