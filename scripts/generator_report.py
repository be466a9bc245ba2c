"""Prints what the generator draws, as Markdown: `python scripts/generator_report.py [--seeds 100]`.

Per tier and over that many generator seeds: how many draws are rejected and why, how large the circuits are, and how
long checking and compiling take.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scripts.markdown import table
from siit.graph.tiers import TIERS, layers
from siit.training.generator import Attempt, attempts
from siit.training.generator.checks import Inspected, hidden_nodes


@dataclass(frozen=True)
class Found:
    """The draws of one tier.

    Attributes:
        attempts: all draws, of all seeds.
        seconds: CPU seconds that each seed took.
    """

    attempts: list[Attempt]
    seconds: list[float]

    @property
    def taken(self) -> list[Inspected]:
        return [a.inspected for a in self.attempts if a.rejected is None and a.inspected is not None]

    @property
    def rejected(self) -> Counter[str]:
        return Counter(a.rejected for a in self.attempts if a.rejected is not None)

    @property
    def compile_seconds(self) -> list[float]:
        return [a.compile_seconds for a in self.attempts if a.compile_seconds is not None]


def draw(tier: str, seeds: int) -> Found:
    """Draws the programs of the seeds from 0."""
    found = Found([], [])
    for seed in range(seeds):
        started = time.process_time()
        found.attempts.extend(attempts(tier, seed))
        found.seconds.append(time.process_time() - started)
        print(f"{tier} {seed}: {len(found.attempts)} draws", file=sys.stderr)
    return found


def report(tiers: dict[str, Found]) -> str:
    """The tables."""
    reasons = sum((found.rejected for found in tiers.values()), Counter[str]())
    why = [[reason, *(found.rejected[reason] for found in tiers.values())] for reason, _ in reasons.most_common()]

    def row(name: str, value: Callable[[Found], object]) -> list[object]:
        return [name, *map(value, tiers.values())]

    def sizes(name: str, size: Callable[[Inspected], int]) -> list[object]:
        return row(name, lambda found: histogram(size(program) for program in found.taken))

    overview = [
        row("seeds", lambda found: len(found.seconds)),
        row("draws", lambda found: len(found.attempts)),
        row("rejected", lambda found: f"{found.rejected.total() / len(found.attempts):.0%}"),
        row("most draws of one seed", lambda found: most_draws(found)),
        row("programs", lambda found: len(found.taken)),
        row("different ones", lambda found: len({json.dumps(p.model.to_json()) for p in found.taken})),
        row("CPU seconds per seed: median, most", lambda found: spread(found.seconds)),
        row("of which compiling and comparing, per draw", lambda found: spread(found.compile_seconds)),
    ]
    shapes = [
        sizes("heads and MLPs", lambda program: len(hidden_nodes(program.circuit))),
        sizes("edges", lambda program: len(program.circuit.carries)),
        sizes("layers needed", lambda program: layers(program.circuit)),
        sizes("variables", lambda program: len(program.model.variables)),
        sizes("classes", lambda program: len(program.model.classes or ())),
    ]
    return "\n\n".join(
        [
            table(["", *tiers], overview),
            "Why draws were rejected: the first check of `siit/training/generator/checks.py` that failed.",
            table(["reason", *tiers], why),
            "Sizes: value (number of programs). Each attention variable counts as one head; in a model, one that\n"
            "counts has two (`siit/interchange/capacity.py`).",
            table(["", *tiers], shapes),
        ]
    )


def most_draws(found: Found) -> int:
    """The largest number of draws up to one that is taken."""
    ends = [index for index, attempt in enumerate(found.attempts) if attempt.rejected is None]
    return max(after - before for before, after in zip([-1, *ends], ends))


def histogram(values: Iterable[int]) -> str:
    """Each value with how often it occurs."""
    return ", ".join(f"{value} ({count})" for value, count in sorted(Counter(values).items()))


def spread(values: Sequence[float]) -> str:
    """Median and largest."""
    return f"{statistics.median(values):.1f}, {max(values):.1f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="generator seeds per tier, from 0")
    seeds = parser.parse_args().seeds
    if seeds < 1:
        parser.error(f"--seeds: found {seeds}, accepted is 1 or more")
    print(report({tier: draw(tier, seeds) for tier in TIERS}))


if __name__ == "__main__":
    main()
