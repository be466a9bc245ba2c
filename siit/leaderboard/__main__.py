"""`siit leaderboard`: puts results onto the board, makes its page, and tells the fresh cases of a month."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from siit._command_line import CommandParser, UsageError, fail, run, suggestion

BAD_INPUT = 2
PAGE = "index.html"
_USAGE = """\
usage: siit leaderboard COMMAND [arguments]

Compares circuit discovery methods on the models of a release; see docs/leaderboard.md.

  siit leaderboard add results/results.json bundle=checkpoints     check results, and put them on the board
  siit leaderboard page bundle=checkpoints                         check the board, and write its page
  siit leaderboard month 2026-12                                   the fresh cases of a month, and what to do

siit leaderboard COMMAND --help says what each takes.

exit status:
  0  done
  2  something is refused, or the usage is wrong; nothing was written
"""
_ADD = """\
Checks what `siit evaluate` wrote: the models are those of the bundle, by their manifests' sha256, and
every number is what the places of the edges and nodes have by the labels. Then it is merged, method by
method: all of it or nothing. Results that are there already change nothing.
"""
_PAGE = """\
Checks all that is on the board against the labels, and writes index.html beside it: one file that needs
nothing else. Evaluations of models that the bundle has not are left out, and it says so.
"""
_MONTH = "Prints the programs of a month, which follow from its name alone, and the commands that use them."


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what is asked, and returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[Sequence[str]], int]] = {"add": _add, "page": _page, "month": _month}
    if not given or given[0] in ("-h", "--help"):
        print(_USAGE, end="")
        raise SystemExit(0 if given else BAD_INPUT)
    name, *rest = given
    if name not in commands:
        return fail(
            "leaderboard", f"found {name!r}; {suggestion(name, commands)}accepted are add, page, month", BAD_INPUT
        )
    try:
        return commands[name](rest)
    except UsageError as error:
        return fail(f"leaderboard {name}", error, BAD_INPUT)
    except (ValueError, ImportError, OSError) as error:
        return fail(f"leaderboard {name}", str(error).replace("root_or_repo:", "bundle:"), BAD_INPUT)


def _parser(name: str, description: str) -> CommandParser:
    return CommandParser(prog=f"siit leaderboard {name}", description=description)


def _with_bundle(parser: CommandParser) -> CommandParser:
    parser.add_argument(
        "--bundle", type=_several, required=True, help="folders, or repositories on the Hub, with commas between"
    )
    parser.add_argument(
        "--board", type=Path, default=Path("leaderboard"), help="the board's folder (default: leaderboard)"
    )
    return parser


def _add(arguments: Sequence[str]) -> int:
    parser = _with_bundle(_parser("add", _ADD))
    parser.add_argument("results", metavar="RESULTS", type=Path, help="results.json of `siit evaluate`")
    parser.add_argument("--about", default="", help="what the methods are, in a line: a paper, an address")
    parser.add_argument("--replace", action="store_true", help="change what is on the board already")
    options = parser.read(arguments)
    # Only now: --help need not wait for torch.
    from siit._console import say
    from siit.evaluation.files import read_results
    from siit.leaderboard.release import read_release
    from siit.leaderboard.submission import add, coverage

    release = read_release(options.bundle)
    added, notes = add(
        options.board, read_results(options.results), release, about=options.about, replace=options.replace
    )
    for line in (*notes, *coverage(added, len(release.entries))):
        say(line)
    return 0


def _page(arguments: Sequence[str]) -> int:
    parser = _with_bundle(_parser("page", _PAGE))
    parser.add_argument("--month", help="whose fresh models are in the bundle, such as 2026-12")
    options = parser.read(arguments)
    from siit._console import say
    from siit.leaderboard.board import read_board
    from siit.leaderboard.month import month
    from siit.leaderboard.page import page
    from siit.leaderboard.release import read_release
    from siit.show.files import put_files

    of_month = None if options.month is None else month(options.month)
    board = read_board(options.board, read_release(options.bundle), of_month)
    (path,) = put_files(options.board, {PAGE: page(board)})
    for line in (*board.notes, str(path)):
        say(line)
    return 0


def _month(arguments: Sequence[str]) -> int:
    parser = _parser("month", _MONTH)
    parser.add_argument("month", metavar="MONTH", help="year and month: 2026-12")
    options = parser.read(arguments)
    from siit._console import say
    from siit.leaderboard.month import commands, month
    from siit.leaderboard.release import words

    found = month(options.month)
    for line in (*map(words, found.models), "", *commands(found)):
        say(line)
    return 0


def _several(text: str) -> list[str]:
    return list(dict.fromkeys(text.split(",")))


if __name__ == "__main__":
    sys.exit(run(main))
