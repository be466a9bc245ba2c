"""`siit`: one command for all command lines; `siit COMMAND` is `python -m siit.COMMAND`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from siit._command_line import run, suggestion
from siit._version import __version__

BAD_INPUT = 2


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        module: has a function `main` that reads the process' arguments and returns the exit status.
        says: what the command does, in a line.
        needs: a library and the extra that installs it, where the base install lacks it.
    """

    module: str
    says: str
    needs: tuple[str, str] | None = None


COMMANDS = {
    "train": Command("siit.train", "train, certify and bundle a model, or many of them", ("hydra", "train")),
    "suite": Command("siit.suite.__main__", "train many models as one benchmark, and report them: suite.json, gallery"),
    "certify": Command("siit.certify", "measure a model again from its files alone"),
    "cases": Command("siit.cases", "list the cases, or show one: program, variables, circuit"),
    "show": Command("siit.show.__main__", "draw a model's circuit, its attention and what each part does"),
    "score": Command("siit.scoring.__main__", "score a circuit discovery method's edges or nodes against the labels"),
    "evaluate": Command(
        "siit.evaluation.__main__",
        "evaluate discovery methods on a bundle's models, into tables and files",
        ("scipy", "evaluate"),
    ),
    "leaderboard": Command(
        "siit.leaderboard.__main__", "compare methods: check and merge results, make the page", ("scipy", "evaluate")
    ),
    "publish": Command("siit.publish", "put a bundle on the Hugging Face Hub"),
}
_USAGE = f"""\
usage: siit COMMAND [arguments]

Transformers whose circuits are known, and measured to be true.

commands:
{chr(10).join(f"  {name:<11} {command.says}" for name, command in COMMANDS.items())}

siit --version prints the version, siit COMMAND --help what a command takes. `siit train` is a
Hydra application and takes key=value; all others take --flags (and key=value for the same), and `siit suite` both.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command with the rest of the arguments, and returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run(lambda: _main(given))


def _main(given: Sequence[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        print(_USAGE, end="")
        return 0 if given else BAD_INPUT
    name, *rest = given
    if name in ("-V", "--version"):
        print(f"siit {__version__}")
        return 0
    if name not in COMMANDS:
        hint = suggestion(name, COMMANDS)
        print(f"siit: error: found {name!r}; {hint}accepted are {', '.join(COMMANDS)}", file=sys.stderr)
        return BAD_INPUT
    return _run(name, COMMANDS[name], rest)


def _run(name: str, command: Command, arguments: list[str]) -> int:
    if command.needs is not None:
        from siit._extras import require

        library, extra = command.needs
        try:
            require(library, extra=extra, needed_by=f"siit {name}")
        except ImportError as error:
            print(f"siit: error: {error}", file=sys.stderr)
            return BAD_INPUT
    module = importlib.import_module(command.module)
    # Hydra reads the process' arguments, and starts further processes by them.
    sys.argv = [f"siit {name}", *arguments]
    return module.main() or 0


if __name__ == "__main__":
    sys.exit(main())
