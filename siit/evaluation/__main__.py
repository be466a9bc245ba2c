"""`siit evaluate`: evaluates methods on the models of a bundle: those that find circuits, or locate variables."""

from __future__ import annotations

import argparse
import itertools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siit._command_line import CommandParser, UsageError, fail, one_of, run, suggestion, whole_number
from siit._device import usable_device

if TYPE_CHECKING:
    from siit.bundle import IndexEntry
    from siit.evaluation.result import EvaluationSetting
    from siit.evaluation.variables.result import VariableSetting

SOME_FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
CIRCUITS, VARIABLES = "circuits", "variables"
_DEFAULTS = {CIRCUITS: {"ablation": ["resample"], "corruption": ["permuted"]}, VARIABLES: {"positions": ["some"]}}
"""Options that one track alone has."""
_METHOD = re.compile(r"\w[\w.]*(:\w[\w.]*)?")
_CORRUPTION = re.compile(r"\w+")
_DESCRIPTION = """\
Runs circuit discovery methods on models whose circuits are known, and measures how well they
find them: on edges and nodes, beside a random order and what the architecture alone tells.

  siit evaluate checkpoints method=eap,eap_ig_inputs,acdc
  siit evaluate checkpoints method=my_module:my_method case=frac_prevs,reverse/seed-1
  siit evaluate checkpoints method=exact,eap ablation=resample,mean,zero corruption=permuted,plain

With track=variables, methods that locate variables: for each unit of a model's circuit, which
nodes carry it?

  siit evaluate checkpoints track=variables method=probing,interchange,das

Every combination is run; with jobs=4, four at once. Each result is a file below OUT; the same command
goes on where it was interrupted. OUT/results.json (of variables: OUT/variables.json) has all of
them, and sums them up.
"""
_EPILOG = """\
Methods, settings and figures of both tracks are explained in docs/evaluate.md. References, as
methods: labels, structure, random.

exit status:
  0    all was evaluated
  1    some was not; which, and why, is listed
  2    the bundle cannot be read, no such method, or the usage is wrong
  3    a fault of siit's own
  130  interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluates, prints, and returns the exit status."""
    try:
        options = _parser().read(arguments)
        _check_track(options)
    except UsageError as error:
        return fail("evaluate", error, BAD_INPUT)
    # Only now: --help need not wait for torch.
    import torch

    from siit._console import say
    from siit.evaluation.progress import Progress
    from siit.evaluation.sweep import Loader, jobs_of, sweep
    from siit.loading import list_models
    from siit.show.files import check_out

    torch.set_num_threads(options.threads)
    if any(":" in method for method in options.method):
        # A method of one's own is looked for here first.
        sys.path.insert(0, os.getcwd())
    try:
        device = usable_device(options.device, key="--device")
        listed = list_models(options.bundle)
        entries = _chosen(listed, options.case, options.bundle)
        track, settings = _variables(options) if options.track == VARIABLES else _circuits(options)
        jobs = jobs_of(track, entries, options.method, settings)
        check_out(options.out)
    except (ValueError, OSError) as error:
        return fail("evaluate", str(error).replace("root_or_repo:", "bundle:"), BAD_INPUT)

    if left := sum(not entry.certified for entry in listed):
        say(f"Left out, since their labels are not certified: {left} of {len(listed)} models.")
    try:
        with Progress(len(jobs), track.figures, track.summary) as progress:
            results = sweep(track, jobs, Loader(options.bundle, device), options.out, progress, options.jobs)
        track.write(options.out / track.results_file, results)
    except KeyboardInterrupt:
        return fail("evaluate", "interrupted; the same command goes on from here", INTERRUPTED)
    for line in (*track.closing(results), "", f"All of it is in {options.out / track.results_file}."):
        say(line)
    return SOME_FAILED if results.failed else 0


def _parser() -> CommandParser:
    parser = CommandParser(prog="siit evaluate", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder, or a repository's id on the Hub")
    several = "; several with commas between"
    parser.add_argument(
        "--method", type=_each(_METHOD, "name, or module:function"), required=True, help=f"methods{several}"
    )
    parser.add_argument(
        "--track",
        type=one_of((CIRCUITS, VARIABLES)),
        default=CIRCUITS,
        help="circuits: methods score edges or nodes (default); variables: they locate each unit of a circuit",
    )
    parser.add_argument(
        "--case", type=lambda text: text.split(","), help=f"only these models: CASE or CASE/seed-N{several}"
    )
    parser.add_argument(
        "--ablation",
        type=_each(re.compile("resample|mean|zero"), "resample, mean, zero"),
        help=f"circuits: what replaces a part: resample (default), mean, zero{several}",
    )
    parser.add_argument(
        "--corruption",
        type=_each(_CORRUPTION, "permuted, plain, or a contrast's name"),
        help=f"circuits: corrupted inputs: permuted positions (default), plain, or a contrast of the case{several}",
    )
    parser.add_argument(
        "--positions",
        type=_each(re.compile("some|all"), "some, all"),
        help=f"variables: where one is interchanged: at some positions (default), at all{several}",
    )
    parser.add_argument("--n-pairs", type=whole_number(1), default=256, help="pairs that a method sees (default: 256)")
    parser.add_argument("--seed", type=_seeds, default=[0], help=f"of the pairs, and of methods that draw{several}")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the results (default: results)")
    parser.add_argument("--jobs", type=whole_number(1), default=1, help="processes that share the work (default: 1)")
    parser.add_argument("--threads", type=whole_number(1), default=1, help="CPU threads of each (default: 1)")
    parser.add_argument("--device", default="cpu", help="where to compute, by torch's name (default: cpu)")
    return parser


def _each(accepted: re.Pattern[str], words: str) -> Callable[[str], list[str]]:
    """Makes an argument's type: texts with commas between, each once."""

    def read(text: str) -> list[str]:
        found = list(dict.fromkeys(text.split(",")))
        for one in found:
            if not accepted.fullmatch(one):
                raise argparse.ArgumentTypeError(f"found {one!r}, accepted is {words}")
        return found

    return read


def _seeds(text: str) -> list[int]:
    return list(dict.fromkeys(map(whole_number(0), text.split(","))))


def _check_track(options: argparse.Namespace) -> None:
    """Fills in what was not given, and refuses what another track has.

    Raises:
        UsageError: names the option.
    """
    for track, defaults in _DEFAULTS.items():
        for name, default in defaults.items():
            if getattr(options, name) is None:
                setattr(options, name, default)
            elif track != options.track:
                raise UsageError(f"{name}: found with track={options.track}, accepted with track={track}")


def _circuits(options: argparse.Namespace) -> tuple[Any, list[EvaluationSetting]]:
    from siit.evaluation import circuits
    from siit.evaluation.result import EvaluationSetting

    ways = itertools.product(options.corruption, options.ablation, options.seed)
    return circuits.CIRCUITS, [
        EvaluationSetting(corruption, ablation, options.n_pairs, seed) for corruption, ablation, seed in ways
    ]


def _variables(options: argparse.Namespace) -> tuple[Any, list[VariableSetting]]:
    from siit.evaluation.variables import track
    from siit.evaluation.variables.result import VariableSetting

    ways = itertools.product(options.positions, options.seed)
    return track.VARIABLES, [VariableSetting(positions, options.n_pairs, seed) for positions, seed in ways]


def _chosen(entries: Sequence[IndexEntry], wanted: Sequence[str] | None, bundle: str) -> list[IndexEntry]:
    """Finds the models that are asked for, by case or by case and seed; all that are certified where none is."""
    certified = [one for one in entries if one.certified]
    if not certified:
        raise ValueError(f"bundle: found no certified model in {bundle}, accepted is a folder or repository with some")
    if wanted is None:
        return certified
    names = {one: (one.case, f"{one.case}/seed-{one.seed}") for one in certified}
    known = sorted({name for both in names.values() for name in both})
    for name in wanted:
        if name not in known:
            raise ValueError(f"case: found {name!r}; {suggestion(name, known)}accepted are {', '.join(known)}")
    return [one for one in certified if any(name in wanted for name in names[one])]


if __name__ == "__main__":
    sys.exit(run(main))
