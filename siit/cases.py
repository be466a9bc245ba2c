"""`siit cases`: lists the cases of the catalogue, or shows one: its program, its variables and its circuit.

Everything is read from data that the package ships; `--interchanges` alone measures, and needs the extra `train`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence

from siit._command_line import CommandParser, UsageError, chosen, fail, run
from siit._extras import require
from siit.catalogue import CaseInfo, catalogue, find_case
from siit.graph.picture import Part, draw
from siit.graph.tiers import TIERS

BAD_INPUT = 2
_DESCRIPTION = """\
Lists all cases, or those of some tiers and families; shows what is named.

  siit cases --tier deep,composed --family ioi
  siit cases reverse
"""
_COLUMNS = ("case", "tier", "family", "layers", "nodes", "edges", "output", "length", "InterpBench")
_RIGHT = ("layers", "nodes", "edges", "length")
INPUTS = ("tokens", "indices")
_LISTED = 26
"""Tokens of a vocabulary that are listed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints, and returns the exit status."""
    try:
        options = _parser().read(arguments)
        cases = _chosen(options)
        if options.interchanges:
            return _print_interchanges(cases, as_json=options.json)
    except (UsageError, KeyError, ImportError) as error:
        return fail("cases", error.args[0], BAD_INPUT)
    if options.json:
        print(json.dumps([dataclasses.asdict(case) for case in cases], indent=1, ensure_ascii=False))
    elif options.cases:
        print("\n\n".join(detail(case) for case in cases))
    else:
        # Only a terminal has an end of the line; a pipe gets everything.
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(listing(cases, width))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(prog="siit cases", description=_DESCRIPTION)
    parser.add_argument("cases", nargs="*", default=[], metavar="CASE", help="cases to show in full")
    parser.add_argument("--tier", action="append", type=chosen(TIERS), help=f"only these tiers: {', '.join(TIERS)}")
    parser.add_argument("--family", action="append", type=chosen(families()), help="only these families")
    parser.add_argument("--json", action="store_true", help="JSON")
    parser.add_argument(
        "--interchanges",
        action="store_true",
        help="how often each interchange of the named cases changes something (measured now; extra train)",
    )
    return parser


def families() -> list[str]:
    """Lists the families of cases."""
    return sorted({case.family for case in catalogue().values()})


def _chosen(options: argparse.Namespace) -> list[CaseInfo]:
    """Finds the named cases, or all, of the tiers and families that are asked for.

    Raises:
        KeyError: no such case.
        UsageError: none is left, or none is named for `--interchanges`.
    """
    if options.interchanges and not options.cases:
        raise UsageError("--interchanges: found no case, accepted are one or more: siit cases reverse --interchanges")
    named = [find_case(name) for name in options.cases] or list(catalogue().values())
    given = {"--tier": options.tier, "--family": options.family}
    tiers = [tier for together in options.tier or [TIERS] for tier in together]
    among = [family for together in options.family or [families()] for family in together]
    cases = [case for case in named if case.tier in tiers and case.family in among]
    if not cases:
        asked = " ".join(f"{flag} {','.join(map(','.join, values))}" for flag, values in given.items() if values)
        raise UsageError(f"{asked}: found none of {len(named)} cases, `siit cases` lists all")
    return cases


def listing(cases: Sequence[CaseInfo], width: int | None = None) -> str:
    """Makes the table of cases: names are whole, and where a line would not fit its last columns are left out.

    Args:
        cases: the rows.
        width: letters of a line; None where there is no limit.
    """
    table = [_COLUMNS, *map(_row, cases)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    shown = len(_COLUMNS)
    while width is not None and shown > 1 and sum(widths[:shown]) + 2 * (shown - 1) > width:
        shown -= 1
    lines = [_line(row[:shown], widths) for row in table]
    left_out = f"; a wider terminal, or --json, shows {', '.join(_COLUMNS[shown:])}" if shown < len(_COLUMNS) else ""
    end = f"{len(cases)} case{'s' if len(cases) != 1 else ''}; siit cases NAME shows one{left_out}"
    return "\n".join([*lines, "", *textwrap.wrap(end, width or len(end))])


def _row(case: CaseInfo) -> tuple[str, ...]:
    sizes = map(str, (case.layers, case.circuit_nodes, case.circuit_edges))
    return (case.name, case.tier, case.family, *sizes, case.output, str(case.max_len), case.interpbench_id or "")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.rjust(width) if name in _RIGHT else cell.ljust(width)
        for name, cell, width in zip(_COLUMNS, cells, widths, strict=False)
    )
    return "  ".join(aligned).rstrip()


def detail(case: CaseInfo) -> str:
    """Shows one case: what it computes, its circuit as a picture, its variables, its program, how to train it."""
    known = [f"InterpBench {case.interpbench_id}"] if case.interpbench_id else []
    tokens = " ".join(map(str, case.vocab[:_LISTED]))
    more = f" ... ({len(case.vocab)} in all)" if len(case.vocab) > _LISTED else ""
    length = f"{case.min_len} to {case.max_len}" if case.min_len < case.max_len else str(case.max_len)
    wide = max(len(variable.name) for variable in case.variables)
    variables = [
        f"  {variable.name:<{wide}}  {variable.place:<4}  {variable.kind:<11}  {variable.role}"
        for variable in case.variables
    ]
    excluded = [f"  {name}: {reason}" for name, reason in case.excluded.items()]
    return "\n".join(
        [
            f"{case.name}: {', '.join([case.tier, case.family, *known])}",
            case.description,
            "",
            f"  tokens   {tokens}{more}",
            f"  length   {length} tokens",
            f"  answers  {case.output}",
            f"  circuit  {case.circuit_nodes} heads and MLPs, {case.circuit_edges} edges, {case.layers} layers",
            f"  causal model {case.fingerprint}",
            "",
            "Circuit (the seed draws which layers and heads)",
            _picture(case),
            "",
            "Variables: what holds each, and what it is",
            *variables,
            *(["", "Not on the circuit", *excluded] if excluded else []),
            "",
            "Program",
            textwrap.indent(case.program, "  "),
            "",
            "Train and certify it",
            f"  siit train case={case.name}",
        ]
    )


def _picture(case: CaseInfo) -> str:
    inside = [variable for variable in case.variables if variable.in_circuit]
    # Heads of a layer come before its MLP.
    order = sorted(inside, key=lambda variable: (variable.layer, variable.place == "MLP"), reverse=True)
    answer = Part("output", None, {"": [case.variables[-1].name]})
    read = {name for variable in inside for names in variable.reads.values() for name in names}
    bottom = [Part(name, None, {}) for name in INPUTS if name in read]
    return draw([answer, *(Part(variable.name, variable.layer, variable.reads) for variable in order), *bottom])


def _print_interchanges(cases: Sequence[CaseInfo], *, as_json: bool) -> int:
    for library in ("tracr", "hydra", "pytorch_lightning"):
        require(library, extra="train", needed_by="siit cases --interchanges")
    from siit.training.describe import PAIRS, interchange_shares

    shares = {case.name: interchange_shares(case.name) for case in cases}
    if as_json:
        plain = {name: {key: vars(value) for key, value in found.items()} for name, found in shares.items()}
        print(json.dumps(plain, indent=1))
        return 0
    for name, found in shares.items():
        wide = max(map(len, found))
        print(f"{name}: share of {PAIRS:,} pairs in which it differs, and in which the answer changes")
        for interchange, share in found.items():
            differs = "" if share.differs is None else f"{share.differs:.1%}"
            print(f"  {interchange:<{wide}}  {differs:>7}  {share.changes:>7.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
