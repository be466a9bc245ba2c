"""Sums a suite up for a terminal: a table by tier, and what is wrong with the models that are not certified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from siit._text import duration, printable
from siit.suite.models import NOT_BEGUN, OUTCOMES, SuiteModel, by_tier
from siit.suite.outcomes import ALLOWED


def tier_table(models: Sequence[SuiteModel]) -> Table:
    """Makes the table of a suite: a row for each tier, with its models by outcome, CPU time and worst share."""
    outcomes = [outcome for outcome in OUTCOMES if any(model.outcome == outcome for model in models)]
    table = Table(title="models by tier", title_justify="left")
    for column in ("tier", *outcomes, "CPU time", "the longest", "worst share of those certified"):
        table.add_column(column, justify="left" if column in ("tier", "the longest") else "right", overflow="fold")
    rows = {**by_tier(models), **({"all": list(models)} if len(by_tier(models)) > 1 else {})}
    for tier, group in rows.items():
        counts = Counter(model.outcome for model in group)
        longest = max(group, key=lambda model: model.cpu_seconds or 0.0)
        shares = [model.worst_field[1] for model in group if model.certified and model.worst_field]
        table.add_row(
            tier,
            *(str(counts[outcome]) for outcome in outcomes),
            duration(sum(model.cpu_seconds or 0.0 for model in group)),
            printable(f"{longest.name}: {duration(longest.cpu_seconds)}") if longest.cpu_seconds else "",
            f"{min(shares):.5f}" if shares else "",
        )
    return table


def shortfalls(models: Sequence[SuiteModel]) -> list[str]:
    """Says of each model that was begun and is not certified what is wrong, in lines that are safe to print."""
    lines = []
    for model in models:
        if not model.certified and model.outcome not in (ALLOWED, NOT_BEGUN):
            what = [printable(line) for line in model.reasons] or ["nothing says why"]
            lines += [printable(f"{model.name}: {model.outcome}: ") + what[0], *(f"  {line}" for line in what[1:])]
    return lines
