"""Prints what suites came to as Markdown: `python -m scripts.suite_table docs/suite.json [more] [--write FILE]`.

Of a model that several reports have the last one counts; those that had not come to their end are left out. `--write`
puts all of them into one report: so `docs/suite.json` grows with what is trained on other machines.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scripts.markdown import percent
from siit.catalogue import catalogue
from siit.graph.tiers import TIERS
from siit.suite.models import UNFINISHED, SuiteModel
from siit.suite.report import SUITE_FORMAT, suite_json


def read_reports(paths: Sequence[Path]) -> list[SuiteModel]:
    """Reads reports of suites, by case and seed; of a model that several have the last one counts.

    Models that had not come to their end are left out.

    Raises:
        ValueError: a file that is no report.
    """
    found: dict[tuple[str, str], SuiteModel] = {}
    for path in paths:
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            if report["format"] != SUITE_FORMAT:
                raise ValueError(f"format {report['format']!r}")
            models = [SuiteModel(**model) for model in report["models"] if model["outcome"] != UNFINISHED]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: found no report ({error}), accepted is a suite.json that siit wrote") from error
        found |= {(model.case, str(model.seed)): model for model in models}
    return [found[key] for key in sorted(found)]


def tiers(models: Sequence[SuiteModel]) -> list[str]:
    """Makes the table of tiers: how many of the catalogue's cases are certified, are not, and have not been trained.

    Args:
        models: of one seed.
    """
    tier_of = {name: info.tier for name, info in catalogue().items()}
    ours = [model for model in models if model.case in tier_of]
    lines = ["| tier | cases | certified | not certified | not trained | CPU min | the longest |", "|" + "---|" * 7]
    for tier in (*TIERS, None):
        cases = [name for name, its in tier_of.items() if tier in (None, its)]
        group = [model for model in ours if tier in (None, tier_of[model.case])]
        certified = Counter(model.certified for model in group)
        longest = max(group, key=lambda model: model.cpu_seconds or 0.0, default=None)
        cells = (
            tier or "all",
            *(len(cases), certified[True], certified[False], len(cases) - len(group)),
            f"{sum(model.cpu_seconds or 0.0 for model in group) / 60:,.0f}",
            f"{longest.case}: {(longest.cpu_seconds or 0.0) / 60:,.0f}" if longest else "",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def rows(models: Sequence[SuiteModel]) -> list[str]:
    """Makes the table of models: steps, CPU seconds, and the worst share with its field, or what is missing."""
    lines = ["| case | seed | tier | outcome | steps | CPU s | worst share |", "|" + "---|" * 7]
    for model in models:
        field, share = model.worst_field or ("", None)
        cells = (
            *(model.case, model.seed, model.tier or "", model.outcome),
            "" if model.steps is None else f"{model.steps:,}",
            "" if model.cpu_seconds is None else f"{model.cpu_seconds:,.0f}",
            f"{percent(share)} ({field})" if field else "; ".join(model.reasons),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=Path, help="files that `siit suite` wrote, suite.json")
    parser.add_argument("--seed", type=int, default=0, help="whose models the tables show")
    parser.add_argument("--write", type=Path, help="a report of all models, of every seed")
    arguments = parser.parse_args()
    try:
        models = read_reports(arguments.reports)
    except ValueError as error:
        parser.error(str(error))
    if arguments.write:
        arguments.write.write_bytes(suite_json(models))
    shown = [model for model in models if model.seed == arguments.seed]
    print("\n".join([*tiers(shown), "", *rows(shown)]))


if __name__ == "__main__":
    main()
