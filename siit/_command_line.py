"""Reads the arguments of all command lines but training's: `--flags`, or `key=value` for the same, as Hydra has it."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

from siit._console import say, steady
from siit._text import one_line, shortened

BAD_PLACE, FAULT = 2, 3
"""Exit statuses that all commands share; a fault is one of our own, or of a library, and says nothing of a model."""
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class UsageError(ValueError):
    """Arguments that make no sense; the message says what is accepted."""


class CommandParser(argparse.ArgumentParser):
    """A parser whose options may be written `--dry-run`, `--out=show`, `--out show`, or `dry_run=true`, `out=show`.

    What goes wrong is a UsageError of one line, with a suggestion where a name is nearly right.
    """

    def __init__(self, *, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def read(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """Parses the arguments, those of the process if None.

        Raises:
            UsageError: names what was found and what is accepted.
            SystemExit: after the help was printed; status 2 where nothing was given, but something is needed.
        """
        given = list(sys.argv[1:] if arguments is None else arguments)
        needed = [action for action in self._actions if action.required]
        if not given and needed:
            self.print_help()
            raise SystemExit(2)
        found, unknown = self.parse_known_args(self._as_flags(given))
        if unknown:
            raise UsageError(self._no_such(unknown[0]))
        return found

    def error(self, message: str) -> NoReturn:
        """Raises UsageError, where argparse would end the process."""
        raise UsageError(message.removeprefix("argument "))

    def _as_flags(self, given: Sequence[str]) -> list[str]:
        """Rewrites `key=value` as flags; positional arguments come first, those given by their key in their places."""
        positional = [action.dest for action in self._actions if not action.option_strings]
        named: dict[str, str] = {}
        bare: list[str] = []
        flags: list[str] = []
        seen: set[str] = set()
        is_value = False
        for argument in given:
            key, equals, value = argument.partition("=")
            name = key.replace("-", "_")
            if is_value:
                flags.append(argument)
                is_value = False
                continue
            if equals and _KEY.fullmatch(key):
                if not value:
                    raise UsageError(f"{key}: found nothing after the =, accepted is a value")
                if name in positional:
                    self._once(name, key, seen)
                    named[name] = value
                    continue
                dest, flag = self._flag(argument, name, value)
                if flag is None:
                    self._once(dest, key, seen)
                    continue
                argument = flag
            elif not argument.startswith("-"):
                bare.append(argument)
                continue
            flag, equals, _ = argument.partition("=")
            action = self._option_string_actions.get(flag)
            if action is not None and not isinstance(action, argparse._AppendAction):
                self._once(action.dest, flag, seen)
            is_value = action is not None and action.nargs is None and not equals
            flags.append(argument)
        unnamed = iter(bare)
        places = [named.get(name) or next(unnamed, None) for name in positional]
        return [place for place in (*places, *unnamed) if place is not None] + flags

    def _once(self, name: str, written: str, seen: set[str]) -> None:
        if name in seen:
            raise UsageError(f"{written}: found twice, accepted is once")
        seen.add(name)

    def _flag(self, argument: str, name: str, value: str) -> tuple[str, str | None]:
        """Rewrites `key=value` as a flag, None where it is the default; the name of its option goes first."""
        flag = f"--{name.replace('_', '-')}"
        off = f"--no-{flag[2:]}"
        action = self._option_string_actions.get(flag) or self._option_string_actions.get(off)
        if action is None:
            raise UsageError(self._no_such(argument))
        if action.nargs != 0:
            return action.dest, f"{flag}={value}"
        if value not in ("true", "false"):
            raise UsageError(f"{name}: found {value!r}, accepted are true and false")
        wanted = flag if value == "true" else off
        return action.dest, wanted if wanted in action.option_strings else None

    def _no_such(self, argument: str) -> str:
        flags = [name for name in self._option_string_actions if name.startswith("--") and not name.startswith("--no-")]
        if not (argument.startswith("-") or "=" in argument):
            return f"{argument}: found one argument too many; `{self.prog} --help` says what is accepted"
        name = argument.partition("=")[0].lstrip("-").replace("_", "-")
        # Compared without the dashes, which all of them share.
        accepted = {flag[2:]: flag for flag in flags}
        accepted |= {
            action.dest.replace("_", "-"): action.dest for action in self._actions if not action.option_strings
        }
        near = [accepted[key] for key in difflib.get_close_matches(name, accepted, n=2)]
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return f"{argument}: no such option; {hint}accepted are {', '.join(flags)}"


def run(main: Callable[[], int]) -> int:
    """Runs a command line and returns its exit status, which no stream can change, see `siit._console`.

    What is raised is never status 1, which says that a model is not certified. A place that cannot be read or written
    is one line and BAD_PLACE: libraries look for one when they are loaded. All else is shown in full and is FAULT.
    """
    with steady():
        try:
            return main()
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            say(f"siit: error: {one_line(f'{where}{error.strerror or error}')}", error=True)
            return BAD_PLACE
        except Exception:
            traceback.print_exc()
            return FAULT


def suggestion(found: str, accepted: Collection[str]) -> str:
    """Words "did you mean ...? " with the nearest names; empty where none is near."""
    near = difflib.get_close_matches(found, accepted, n=3)
    return f"did you mean {' or '.join(near)}? " if near else ""


def whole_number(least: int, most: int = 999_999_999) -> Any:
    """Makes an argument's type: an integer from `least` to `most`.

    Args:
        least: 0 or more.
        most: the largest that is accepted.

    Returns:
        A function that reads decimal digits. It raises argparse.ArgumentTypeError, which says what was found and what
        is accepted.
    """

    def read(text: str) -> int:
        digits = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        if not (digits and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"found {shortened(text)}, accepted is an integer from {least} to {most}")
        return int(text)

    return read


def one_of(accepted: Collection[str]) -> Any:
    """Makes an argument's type: one of these.

    Args:
        accepted: the names.

    Returns:
        A function that takes such a name as it is. It raises argparse.ArgumentTypeError for another one, with the
        nearest names.
    """

    def read(text: str) -> str:
        if text not in accepted:
            hint = suggestion(text, accepted)
            raise argparse.ArgumentTypeError(f"found {text!r}; {hint}accepted are {', '.join(accepted)}")
        return text

    return read


def chosen(accepted: Collection[str]) -> Any:
    """Makes an argument's type: one of these, or several with commas between, as a list.

    Args:
        accepted: the names.

    Returns:
        A function that splits a text into such names. It raises argparse.ArgumentTypeError as that of `one_of` does.
    """
    one = one_of(accepted)
    return lambda text: [one(name) for name in text.split(",")]


def fail(command: str, error: object, status: int) -> int:
    """Prints an error as one line, without what a terminal would obey, and returns the status."""
    say(f"siit.{command}: error: {one_line(error)}", error=True)
    return status
