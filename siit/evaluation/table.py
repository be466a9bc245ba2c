"""Lays out what a sweep of discovery methods found. Everything shown is in `results.json` too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from siit._text import printable
from siit.evaluation.files import Results
from siit.evaluation.overview import AVERAGE_PRECISION, GroupMean, group_means
from siit.evaluation.progress import title
from siit.evaluation.result import HEADLINE, Evaluation
from siit.evaluation.track import Lost
from siit.graph.tiers import TIERS

_COLUMNS = {
    AVERAGE_PRECISION: "edge AP",
    "edge.above_structure": "above null",
    "edge.roc_auc": "ROC AUC",
    "node.average_precision": "node AP",
    "cpr": "CPR",
    "cmd": "CMD",
    "seconds": "s",
}
"""Measure -> its heading."""
_BRIEF = {name: _COLUMNS[name] for name in (AVERAGE_PRECISION, "edge.above_structure", "edge.roc_auc", "seconds")}
"""Those that a narrow terminal has room for."""
LEGEND = (
    "AP: average precision (95 % interval over models); above null: edge AP less the structure null's;",
    "CPR, CMD: area under the curve of faithfulness, and between it and 1. All are means over models.",
)


def summary(done: Sequence[Evaluation]) -> list[str]:
    """Lays out what was found so far, for a narrow terminal."""
    return rows(group_means(done, measures=_BRIEF), _BRIEF)


def rows(means: Sequence[GroupMean], columns: Mapping[str, str] = _COLUMNS) -> list[str]:
    """Lays out means of one group: a line for each method and setting, the best average precision first.

    Args:
        means: of one group.
        columns: measure -> its heading.
    """
    ways: dict[tuple[str, ...], dict[str, GroupMean]] = {}
    for one in means:
        key = (one.method, one.corruption, one.ablation, str(one.n_pairs))
        ways.setdefault(key, {})[one.measure] = one

    def rank(way: tuple[str, ...]) -> tuple[float, float]:
        edge, node = ways[way].get(AVERAGE_PRECISION), ways[way].get("node.average_precision")
        return (-(edge.mean if edge else -1.0), -(node.mean if node else -1.0))

    table = [["method", "corruption", "ablation", "pairs", "models", *columns.values()]]
    for way in sorted(ways, key=rank):
        found = ways[way]
        models = max(one.models for one in found.values())
        table.append([*way, str(models), *(_cell(name, found.get(name)) for name in columns)])
    return list(aligned(table, left=3))


def closing(results: Results) -> list[str]:
    """Lays out what a sweep found: all models, tier by tier, what the ablation changes, and what failed."""
    overview = results.overview
    everything = [one for one in overview.means if one.group == "all"]
    lines = ["", *rows(everything), *LEGEND] if everything else []
    tiers = [tier for tier in TIERS if any(one.group == f"tier {tier}" for one in overview.means)]
    if len(tiers) > 1:
        lines += ["", "Average precision of edges by tier, structure null in brackets:", *_by_tier(results, tiers)]
    agreements = [one for one in overview.agreements if one.measure == AVERAGE_PRECISION]
    if agreements:
        lines += ["", "Rankings of methods by average precision of edges, Kendall's tau between ablations:"]
    for one in agreements:
        tau = "none, all methods are equal" if one.tau is None else f"{one.tau:.2f}"
        over = f"{one.methods} methods, models {one.models}"
        lines.append(f"  {one.corruption}, {one.first} and {one.second}: {tau} ({over})")
    if results.failed:
        lines += ["", f"Failed: {len(results.failed)}"]
        lines += [f"  {printable(text)}" for text in failures(results.failed)]
    return lines


def failures(failed: Sequence[Lost]) -> Iterator[str]:
    """Words failures, those of one model with one cause together."""
    causes: dict[tuple[str, str], list[Lost]] = {}
    for one in failed:
        causes.setdefault((f"{one.case}/seed-{one.model_seed}", one.error), []).append(one)
    for (model, error), jobs in causes.items():
        methods = ", ".join(dict.fromkeys(one.method for one in jobs))
        yield f"{title(jobs[0])}: {error}" if len(jobs) == 1 else f"{model}, {len(jobs)} of {methods}: {error}"


def _by_tier(results: Results, tiers: Sequence[str]) -> Iterator[str]:
    found = {
        (one.method, one.corruption, one.ablation, str(one.n_pairs), one.group): one
        for one in results.overview.means
        if one.measure == AVERAGE_PRECISION
    }
    above = {
        (one.method, one.corruption, one.ablation, str(one.n_pairs), one.group): one.mean
        for one in results.overview.means
        if one.measure == "edge.above_structure"
    }
    table = [["method", "corruption", "ablation", "pairs", *tiers]]
    for way in dict.fromkeys(key[:4] for key in found):
        keys = [(*way, f"tier {tier}") for tier in tiers]
        cells = [f"{found[key].mean:.3f} ({found[key].mean - above[key]:.3f})" if key in found else "" for key in keys]
        table.append([*way, *cells])
    yield from aligned(table, left=3)


def _cell(name: str, one: GroupMean | None) -> str:
    if one is None:
        return ""
    if name == "seconds":
        return f"{one.mean:.2f}"
    if name != AVERAGE_PRECISION or one.low is None or one.high is None:
        return f"{one.mean:.3f}"
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"


def aligned(table: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Lays out rows of cells, safe to print.

    Args:
        table: rows of as many cells each.
        left: how many columns are aligned to the left; all others are to the right.
    """
    wide = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [
            printable(cell).ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, wide, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def figures(one: Evaluation) -> str:
    """Words what counts most of an evaluation."""
    if HEADLINE in one.edge:
        rated, what = one.edge[HEADLINE], "edges"
    else:
        rated, what = one.node["all"], "nodes"
    null = f"structure null {rated.structure.average_precision:.3f}"
    return f"{what}: AP {rated.average_precision:.3f} ({null}), ROC AUC {rated.roc_auc:.3f}; {one.seconds:.2f} s"
