"""Chooses the cases of a suite by name, list, tier and family, and orders them: what takes longest comes first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from statistics import mean

from siit._command_line import UsageError, suggestion
from siit.catalogue import IOI, catalogue, drawn_place, is_drawn


def choose(
    names: Sequence[str] | None, tiers: Collection[str] | None = None, families: Collection[str] | None = None
) -> list[str]:
    """Chooses cases, each once, in the order in which they are to be trained.

    Args:
        names: of cases of the catalogue, or of the generator's; None: the whole catalogue.
        tiers: only these; None: all.
        families: only these, which the generator's cases have not; None: all.

    Raises:
        UsageError: a name that is unknown, or none is left.
    """
    found = catalogue()
    for name in names or ():
        if name not in found and not is_drawn(name):
            raise UsageError(f"case: found {name!r}; {suggestion(name, found)}`siit cases` lists all {len(found)}")
    among = list(dict.fromkeys(found if names is None else names))
    chosen = [
        name
        for name in among
        if (tiers is None or tier_of(name) in tiers) and (families is None or family_of(name) in families)
    ]
    if not chosen:
        raise UsageError(f"{_asked(tiers, families)}: found none of {len(among)} cases, `siit cases` lists all")
    return longest_first(chosen)


def _asked(tiers: Collection[str] | None, families: Collection[str] | None) -> str:
    """Words the filters that were given."""
    given = {"tier": tiers, "family": families}
    return ", ".join(f"{name}={','.join(values)}" for name, values in given.items() if values is not None)


def read_list(path: Path) -> list[str]:
    """Reads a list of cases: a name on each line; what follows a # is a comment.

    Raises:
        UsageError: no such file, or one without a name.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise UsageError(f"list: found {path} ({reason}), accepted is a file with a case on each line") from error
    names = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not names:
        raise UsageError(f"list: found no name in {path}, accepted is a file with a case on each line")
    return names


def longest_first(cases: Iterable[str]) -> list[str]:
    """Orders cases: those of IOI first, then those with the most edges; ties by name."""
    return sorted(cases, key=lambda name: (family_of(name) != IOI, -size(name), name))


def size(case: str) -> float:
    """Estimates what training costs, in no unit: the edges of the circuit, or the mean of its tier, or of all cases."""
    known = catalogue()
    if case in known:
        return float(known[case].circuit_edges)
    tier = tier_of(case)
    return float(mean(info.circuit_edges for info in known.values() if tier in (None, info.tier)))


def tier_of(case: str) -> str | None:
    """Tells a case's tier by the catalogue, or by a drawn program's name; None where neither knows it."""
    if (place := drawn_place(case)) is not None:
        return place[0]
    return catalogue()[case].tier if case in catalogue() else None


def family_of(case: str) -> str | None:
    """Tells a case's family; None where the catalogue has no such case."""
    return catalogue()[case].family if case in catalogue() else None
