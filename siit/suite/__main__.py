"""`siit suite`: trains many models as one sweep, resumable at any moment, and reports them all as one benchmark."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import rich

from siit._command_line import CommandParser, UsageError, chosen, fail, run, whole_number
from siit._console import say
from siit._extras import require
from siit._imports import kept_for_good
from siit._text import printable
from siit.catalogue import catalogue
from siit.graph.tiers import TIERS
from siit.suite.selection import choose, read_list

BAD_INPUT, INTERRUPTED = 2, 130
_OWN = ("case", "list", "tier", "family", "seed", "out", "pages", "report_only")
_DESCRIPTION = """\
Trains models of many cases into one bundle, the longest first, and ends with suite.json, a table
and gallery.html in that folder. All that is not named below is handed to `siit train`, the same for
all models, Hydra's launchers included. Needs the extra train, and for the pictures the extra show.

  siit suite out=mine                               all cases of the catalogue, one after the other
  siit suite out=mine tier=deep,composed seed=0,1 hydra/launcher=joblib hydra.launcher.n_jobs=2
  siit suite case=ioi,reverse out=mine trainer.threads=2
  siit suite report_only=true out=mine              only the report, of the models that are there
"""
_EPILOG = """\
Killed at any moment, the same command goes on: finished models are left as they are, others go on
from their last check. One that fails stops no other. While it runs, each has a log of its own in
OUT/.runs/sweeps.

exit status:
  0  all models are certified, or allow_uncertified=true lets them pass
  1  some are not
  2  some could not be trained or read, or the usage is wrong
"""


@dataclass(frozen=True)
class SuiteOptions:
    """Holds the command line's options, see its help."""

    cases: list[str]
    seeds: list[int]
    out: Path
    pages: bool
    report_only: bool
    overrides: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains, reports, and returns the exit status."""
    try:
        options = parse(arguments)
    except UsageError as error:
        return fail("suite", error, BAD_INPUT)
    try:
        if options.pages:
            require("matplotlib", extra="show", needed_by="siit suite pages=true")
        if options.report_only:
            return _report(options)
        status, ended = _train(options)
        if ended:
            _report(options)
        return status
    except (ValueError, ImportError, OSError) as error:
        return fail("suite", error, BAD_INPUT)
    except KeyboardInterrupt:
        return fail("suite", "interrupted; the same command goes on", INTERRUPTED)


def parse(arguments: Sequence[str] | None = None) -> SuiteOptions:
    """Reads the arguments, those of the process if None.

    Raises:
        UsageError: an unknown case, tier, family or option, one twice, or a value that it does not take.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    overrides = [text for text in given if _is_override(text)]
    found = _parser().read([text for text in given if text not in overrides])
    for text in overrides:
        key = text.partition("=")[0]
        if near := difflib.get_close_matches(key, _OWN, n=1, cutoff=0.75):
            raise UsageError(f"{text}: no such option; did you mean {near[0]}? accepted are {', '.join(_OWN)}, and "
                             "what `siit train` takes")  # fmt: skip
    choosing = {"case": found.case, "list": found.list, "tier": found.tier, "family": found.family, "seed": found.seed}
    if found.report_only and (others := [name for name, value in choosing.items() if value] + overrides):
        raise UsageError(f"report_only: found {', '.join(others)} with it, accepted are out and pages")
    if found.case and found.list:
        raise UsageError("case, list: found both, accepted is one of them")
    names = read_list(found.list) if found.list else found.case
    cases = choose(names, found.tier, found.family)
    seeds = list(dict.fromkeys(found.seed or [0]))
    return SuiteOptions(cases, seeds, found.out, found.pages, found.report_only, overrides)


def _is_override(text: str) -> bool:
    """Tells whether an argument is Hydra's: key=value whose key is none of ours, or with a sign before the key."""
    if text.startswith(("~", "+")):
        return True
    key, equals, _ = text.partition("=")
    return bool(equals) and not text.startswith("-") and key.replace("-", "_") not in _OWN


def _parser() -> CommandParser:
    parser = CommandParser(prog="siit suite", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--case", type=_names, metavar="CASE,...", help="which cases (default: all of `siit cases`); also random-deep-0"
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="a file with a case on each line instead")
    parser.add_argument("--tier", type=chosen(TIERS), help=f"of these only the tiers: {', '.join(TIERS)}")
    families = sorted({case.family for case in catalogue().values()})
    parser.add_argument("--family", type=chosen(families), help="of these only the families, see `siit cases`")
    parser.add_argument("--seed", type=_seeds, metavar="SEED,...", help="seeds of each case (default: 0)")
    parser.add_argument("--out", type=_folder, default=Path("checkpoints"), help="the bundle (default: checkpoints)")

    def switch(name: str, says: str) -> None:
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=False, help=says)

    switch("pages", "draw a page for each certified model too, as `siit show` does, and link it in the gallery")
    switch("report-only", "train nothing: write suite.json and gallery.html of the models in OUT; no extra needed")
    return parser


def _names(text: str) -> list[str]:
    return text.split(",")


def _seeds(text: str) -> list[int]:
    return [whole_number(0, 2**31 - 1)(seed) for seed in text.split(",")]


def _folder(text: str) -> Path:
    if "$" in text:
        raise argparse.ArgumentTypeError(f"found {text!r}, accepted is the path of one folder for all models")
    return Path(text)


def _train(options: SuiteOptions) -> tuple[int, bool]:
    """Trains; see `train_suite`."""
    from siit.show.files import check_out

    require("hydra", extra="train", needed_by="siit suite")
    check_out(options.out)
    with kept_for_good():
        from siit.training.suite.start import train_suite

    count = len(options.cases) * len(options.seeds)
    say(printable(f"{count} model{'s' if count > 1 else ''} into {options.out}, the longest first"))
    return train_suite(options.cases, options.seeds, options.out, options.overrides)


def _report(options: SuiteOptions) -> int:
    """Writes the report of all that is in the folder; returns the status of the worst model there."""
    import torch

    from siit.suite.report import GALLERY_FILE, SUITE_FILE, write_report
    from siit.suite.summary import shortfalls, tier_table

    # More threads than cores that are free cost these tiny products more than they bring.
    torch.set_num_threads(1)
    models = write_report(options.out, pages=options.pages, say=lambda line: say(printable(line), error=True))
    rich.print(tier_table(models))
    for line in shortfalls(models):
        say(line)
    for name in (SUITE_FILE, GALLERY_FILE):
        say(printable(str(options.out / name)))
    return max(model.status for model in models)


if __name__ == "__main__":
    sys.exit(run(main))
