"""How a recipe's runs ended: read from a laboratory's folder, as a table, and compared with another's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.markdown import table

RUNS, RECIPE = "runs", "recipe.json"
CERTIFIED, UNCERTIFIED, TIME_UP, FAILED = "certified", "not certified", "time is up", "failed"


@dataclass(frozen=True, order=True)
class Job:
    """A model that is to be trained."""

    case: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.case}-seed-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """How the training of a model ended.

    Attributes:
        case, seed: of the model.
        ended: certified, not certified, time is up, or failed.
        steps: trained, up to the last check where it was stopped; None where there was none.
        training_seconds: CPU seconds of training and its checks; None where no model was bundled.
        seconds: CPU seconds of the process: start, training and certificate.
        stood: the last check's line.
        diagnosis: why there is no certificate, in training's own words.
    """

    case: str
    seed: int
    ended: str
    steps: int | None
    training_seconds: float | None
    seconds: float
    stood: str
    diagnosis: str

    @property
    def certified(self) -> bool:
        """Whether its model is."""
        return self.ended == CERTIFIED

    def cost(self, budget: float) -> float:
        """CPU seconds that count: all of the budget where it is spent without a certificate."""
        return self.seconds if self.within(budget) else budget

    def within(self, budget: float) -> bool:
        """Whether it is certified within a budget of CPU seconds."""
        return self.certified and self.seconds <= budget


def outcomes(folder: Path) -> dict[Job, Outcome]:
    """Reads all that came to an end in a laboratory's folder.

    Raises:
        ValueError: there is none.
    """
    found = [Outcome(**json.loads(path.read_text())) for path in sorted((folder / RUNS).glob("*.json"))]
    if not found:
        raise ValueError(f"{folder}: found no {RUNS}/*.json, accepted is what `run --out` was given")
    return {Job(outcome.case, outcome.seed): outcome for outcome in found}


def budget_of(folder: Path) -> int:
    """Reads the budget of a laboratory's folder, in CPU seconds."""
    return int(json.loads((folder / RECIPE).read_text())["budget"])


def report(found: Mapping[Job, Outcome], budget: int) -> str:
    """Makes the table of one recipe, and its sum.

    Args:
        found: how each model ended.
        budget: CPU seconds at which those count that are not certified.
    """
    rows = [
        [
            job.case,
            job.seed,
            outcome.ended,
            "" if outcome.steps is None else f"{outcome.steps:,}",
            "" if outcome.training_seconds is None else f"{outcome.training_seconds:,.0f}",
            f"{outcome.cost(budget):,.0f}",
            "" if outcome.certified else outcome.stood or outcome.diagnosis.split("\n")[0],
        ]
        for job, outcome in found.items()
    ]
    head = ["case", "seed", "ended", "steps", "training, CPU s", "all, CPU s", "where it stood"]
    return f"{table(head, rows)}\n\n{summary(found.values(), budget)}"


def summary(found: Iterable[Outcome], budget: int) -> str:
    """Sums up in words: how many are certified, and CPU seconds in all."""
    all_of_them = list(found)
    certified = sum(outcome.within(budget) for outcome in all_of_them)
    total = sum(outcome.cost(budget) for outcome in all_of_them)
    return (
        f"{certified} of {len(all_of_them)} certified within {budget:,} CPU s each; {total:,.0f} CPU s in all, "
        "those without a certificate at the whole budget"
    )


def comparison(one: Mapping[Job, Outcome], other: Mapping[Job, Outcome], budget: int) -> str:
    """Compares two recipes model by model, on those that both have trained.

    Args:
        one, other: how each model ended.
        budget: CPU seconds, the same for both.
    """
    both = [job for job in one if job in other]
    rows: list[list[object]] = []
    for job in both:
        first, second = one[job].cost(budget), other[job].cost(budget)
        verdicts = ["yes" if found[job].within(budget) else "no" for found in (one, other)]
        rows.append([job.case, job.seed, *verdicts, f"{first:,.0f}", f"{second:,.0f}", f"{second / first:.2f}"])
    totals = [sum(found[job].cost(budget) for job in both) for found in (one, other)]
    counts = [sum(found[job].within(budget) for job in both) for found in (one, other)]
    ratio = f"{totals[1] / totals[0]:.2f}" if both else ""
    rows.append(["all", "", *counts, *(f"{total:,.0f}" for total in totals), ratio])
    head = ["case", "seed", "A certified", "B certified", "A, CPU s", "B, CPU s", "B / A"]
    alone = [
        f"In {name} alone: {', '.join(job.name for job in mine if job not in theirs)}."
        for name, mine, theirs in (("A", one, other), ("B", other, one))
        if set(mine) - set(theirs)
    ]
    return "\n\n".join([table(head, rows), *alone])
