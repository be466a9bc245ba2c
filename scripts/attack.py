"""Attacks a certified model's folder: `python scripts/attack.py MODEL`.

Damages it by the hundred, and forges it in every way that scripts/forgeries.py knows; each attempt runs in a process of
its own. Prints a table of what came of them: refused clearly, accepted and harmless, accepted and wrong, traceback,
hang. The last three must be 0: then it exits with status 0, else with 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

# Run as a script, the checkout is not on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich.console import Console
from rich.table import Table

from scripts.damages import damaged
from scripts.forgeries import FORGERIES
from siit.bundle import Bundle, BundleError, read_bundle
from siit.verification import verify

Outcome = Literal["refused", "harmless", "WRONG", "TRACEBACK", "HANG"]
OUTCOMES: tuple[Outcome, ...] = ("refused", "harmless", "WRONG", "TRACEBACK", "HANG")
BAD: tuple[Outcome, ...] = ("WRONG", "TRACEBACK", "HANG")
LIMIT_S = 120.0
LINE_LIMIT = 2000
"""Characters of an error; a longer one is no clear line."""
UNVERIFIED = ("train_yaml", "extra_files")
"""What a verification does not speak of: how the model came about."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One attack and what came of it."""

    name: str
    outcome: Outcome
    text: str
    seconds: float


def judged(pristine: Bundle, make: Callable[[], Bundle], *, forged: bool) -> tuple[Outcome, str]:
    """Reads or makes a bundle, verifies it, and judges the outcome.

    Args:
        pristine: the honest bundle.
        make: reads the damaged one, or forges one.
        forged: whether nothing of it may be certified; else what is as it was is harmless.
    """
    try:
        bundle = make()
    except BundleError as error:
        text = str(error)
        return ("refused", text) if len(text) <= LINE_LIMIT and "\n" not in text else ("TRACEBACK", "no clear line")
    if not forged and same(bundle, pristine):
        return "harmless", "reads as it was"
    verification = verify(bundle, seed=0)
    if (
        verification.certified
        and not forged
        and same(dataclasses.replace(bundle, parameters=pristine.parameters), pristine)
    ):
        return "harmless", "other weights, of which all that is said is true"
    if verification.certified:
        return "WRONG", f"certified: {verification.provenance}"
    return "refused", str(verification.findings[0])


def same(one: Bundle, other: Bundle) -> bool:
    """Whether two bundles say the same of all that is verified."""
    fields = [field.name for field in dataclasses.fields(Bundle) if field.name not in UNVERIFIED]
    return all(_same(getattr(one, name), getattr(other, name)) for name in fields)


def _same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    return type(one) is type(other) and repr(one) == repr(other)


def attempt(name: str, pristine: Bundle, make: Callable[[], Bundle], *, forged: bool, limit: float) -> Attempt:
    """Runs one attack in a process of its own, so that neither a crash nor a hang ends the others."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def run(connection: Connection) -> None:
        os.close(2)  # a child's noise
        try:
            connection.send(judged(pristine, make, forged=forged))
        except BaseException as error:
            connection.send(("TRACEBACK", f"{type(error).__name__}: {str(error)[:200]}"))

    started = time.monotonic()
    process = context.Process(target=run, args=(sender,))
    process.start()
    sender.close()
    outcome: Outcome = "HANG"
    text = f"more than {limit:g} s"
    if receiver.poll(limit):
        try:
            outcome, text = receiver.recv()
        except EOFError:
            outcome, text = "TRACEBACK", "the process died"
    process.kill()
    process.join()
    return Attempt(name, outcome, text, time.monotonic() - started)


def attack(folder: Path, damages: int, seed: int, forgeries: list[str], limit: float = LIMIT_S) -> list[Attempt]:
    """Carries out all attacks on a folder, which itself is only read."""
    pristine = read_bundle(folder)
    found = []
    with tempfile.TemporaryDirectory() as place:
        for number in range(seed, seed + damages):
            copy = Path(place) / str(number) / folder.parent.name / folder.name
            copy.parent.mkdir(parents=True)
            how = damaged(folder, copy, number)
            read = lambda copy=copy: read_bundle(copy)  # noqa: E731
            found.append(attempt(f"damage {number}: {how}", pristine, read, forged=False, limit=limit))
    for name in forgeries:
        forge = lambda name=name: FORGERIES[name](pristine)  # noqa: E731
        found.append(attempt(f"forgery: {name}", pristine, forge, forged=True, limit=limit))
    return found


def main() -> int:
    """Attacks, prints, and returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("folder", type=Path, metavar="MODEL", help="a certified model of frac_prevs")
    parser.add_argument("--damages", type=int, default=400, help="how many damages are drawn (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="the first damage's (default: 0)")
    parser.add_argument("--forgeries", nargs="*", default=list(FORGERIES), choices=list(FORGERIES), metavar="NAME")
    parser.add_argument("--verbose", action="store_true", help="print every attempt")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not verify(read_bundle(options.folder), seed=0).certified:
        parser.error(f"{options.folder}: found a model that is not certified, accepted is one that is")
    attempts = attack(options.folder, options.damages, options.seed, options.forgeries)
    console = Console(highlight=False, markup=False)
    table = Table("attack", *OUTCOMES, title=f"{len(attempts)} attacks on {options.folder}", title_justify="left")
    for kind in ("damage", "forgery"):
        counts = Counter(item.outcome for item in attempts if item.name.startswith(kind))
        table.add_row(kind, *(str(counts[outcome]) for outcome in OUTCOMES))
    for item in attempts:
        if options.verbose or item.outcome in BAD:
            console.print(f"{item.outcome:9} {item.seconds:5.1f} s  {item.name}: {item.text[:160]!r}", soft_wrap=True)
    console.print(table)
    return int(any(item.outcome in BAD for item in attempts))


if __name__ == "__main__":
    sys.exit(main())
