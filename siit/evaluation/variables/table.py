"""Lays out what a sweep of methods that locate variables found. Everything shown is in `variables.json` too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from siit.evaluation.overview import ALL as EVERY
from siit.evaluation.table import aligned, failures
from siit.evaluation.variables.files import VariableResults
from siit.evaluation.variables.overview import HEADLINE, SECONDS, VariableMean, of_model, variable_means
from siit.evaluation.variables.result import APART, LocatedUnit, VariableEvaluation
from siit.graph.tiers import TIERS

COLUMNS = {
    f"{APART}.top_1": "top-1",
    f"{APART}.reciprocal_rank": "MRR",
    HEADLINE: "AP",
    f"{APART}.above_structure": "above null",
    "at_nodes": "at nodes",
    "at_others": "others",
    SECONDS: "s",
}
"""Measure -> its heading."""
_BRIEF = {name: COLUMNS[name] for name in (f"{APART}.top_1", HEADLINE, "at_nodes", "at_others", SECONDS)}
"""Those that a narrow terminal has room for."""
LEGEND = (
    "Top-1, MRR (mean reciprocal rank), AP (average precision): how far to the front a unit's nodes are among",
    "heads and MLPs that answers can tell from them; above null: AP less the structure null's; at nodes, others:",
    "the best score of a node of the unit, and of these. Means over units, then over models.",
)


def figures(one: VariableEvaluation) -> str:
    """Words what counts most of an evaluation."""
    shown = [f"{COLUMNS[name]} {_number(of_model(one, name))}" for name in (f"{APART}.top_1", HEADLINE, "at_nodes")]
    return f"{len(one.units)} units: {', '.join(shown)}; {one.seconds:.2f} s"


def summary(done: Sequence[VariableEvaluation]) -> list[str]:
    """Lays out what was found so far, for a narrow terminal."""
    return rows([one for one in variable_means(done) if one.group == EVERY], _BRIEF)


def rows(means: Sequence[VariableMean], columns: Mapping[str, str] = COLUMNS) -> list[str]:
    """Lays out means of one group: a line for each method and setting, the best average precision first.

    Args:
        means: of one group.
        columns: measure -> its heading.
    """
    ways: dict[tuple[str, str, str], dict[str, VariableMean]] = {}
    for one in means:
        ways.setdefault((one.method, one.positions, str(one.n_pairs)), {})[one.measure] = one
    table = [["method", "positions", "pairs", "models", *columns.values()]]
    for way in sorted(ways, key=lambda way: -ways[way][HEADLINE].mean if HEADLINE in ways[way] else 1.0):
        found = ways[way]
        models = max(one.models for one in found.values())
        table.append([*way, str(models), *(_cell(found.get(name)) for name in columns)])
    return list(aligned(table, left=2))


def closing(results: VariableResults) -> list[str]:
    """Lays out what a sweep found: all models, tier by tier, each model (of a single one each unit), what failed."""
    lines = ["", *rows([one for one in results.means if one.group == EVERY]), *LEGEND] if results.means else []
    tiers = [tier for tier in TIERS if any(one.group == f"tier {tier}" for one in results.means)]
    for tier in tiers if len(tiers) > 1 else ():
        lines += ["", f"Tier {tier}:", *rows([one for one in results.means if one.group == f"tier {tier}"], _BRIEF)]
    done = results.evaluations
    models = list(dict.fromkeys((one.case, one.model_seed) for one in done))
    if len(models) == 1:
        lines += ["", "Score at the unit's nodes, and the best of the others:", *_by_unit(done)]
    elif models:
        lines += ["", "Average precision by model:", *_by_model(done)]
    if results.failed:
        lines += ["", f"Failed: {len(results.failed)}", *(f"  {text}" for text in failures(results.failed))]
    return lines


def _by_model(done: Sequence[VariableEvaluation]) -> list[str]:
    ways = list(dict.fromkeys(map(_way, done)))
    found = {(one.case, one.model_seed, _way(one)): one for one in done}
    models = dict.fromkeys((one.case, one.model_seed) for one in done)
    table = [["model", *ways]]
    for case, seed in models:
        of = [found.get((case, seed, way)) for way in ways]
        table.append([f"{case}/seed-{seed}", *("" if one is None else _number(of_model(one, HEADLINE)) for one in of)])
    return list(aligned(table, left=1))


def _by_unit(done: Sequence[VariableEvaluation]) -> list[str]:
    table = [["unit", "nodes", *map(_way, done)]]
    for name in dict.fromkeys(name for one in done for name in one.units):
        of = [one.units.get(name) for one in done]
        nodes = next(" ".join(unit.nodes) for unit in of if unit)
        table.append([name, nodes, *map(_scores, of)])
    return list(aligned(table, left=2))


def _scores(unit: LocatedUnit | None) -> str:
    return "" if unit is None else f"{unit.at_nodes:.3f} {_number(unit.at_others)}"


def _way(one: VariableEvaluation) -> str:
    """Names a method, with its setting where that is not the default."""
    usual = type(one.setting)(n_pairs=one.setting.n_pairs)
    return one.method if one.setting == usual else f"{one.method} {one.setting.words}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _cell(one: VariableMean | None) -> str:
    if one is None:
        return ""
    if one.measure == SECONDS:
        return f"{one.mean:.1f}"
    if one.measure != HEADLINE or one.low is None or one.high is None:
        return f"{one.mean:.3f}"
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"
