"""Disturbs training in every way that a machine does: `python scripts/faults.py`.

Trains an undisturbed reference first, then the same under SIGKILLs, with damaged checkpoints, twice at once, on a disk
that is full, into a closed pipe, and in encodings without some letters. Each attempt must end with the reference's
weights, bit for bit; or be refused in one line with status 2, after which the same command, left alone, ends with them.
Prints a table, and exits with status 0 only where nothing was lost. What it showed: docs/results.md, "Faults".

The kills are of a whole run of frac_prevs; the other faults are of runs of seconds. A full disk is a limit on the size
of files (RLIMIT_FSIZE): it fails a write as a full disk does, at a place that the limit chooses.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# Run as a script, the checkout is not on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from tests.builders.runs import SMALL

Outcome = Literal["same", "refused", "LOST"]
OUTCOMES: tuple[Outcome, ...] = ("same", "refused", "LOST")
WHOLE = ("case=frac_prevs", "seed=0", "trainer.max_steps=2000", "trainer.progress_bar=false", "trainer.accelerator=cpu")
SHORT = (*SMALL, "trainer.max_steps=400", "trainer.evidence_pairs=2048")
"""Its checkpoints are smaller than its evidence, so that a limit can let the one pass and not the other."""
ENCODINGS = ("latin-1", "ascii", "utf-16")
MODEL, RUN = Path("frac_prevs/seed-0"), Path(".runs/frac_prevs/seed-0")
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
REFUSED = 2
_ROOT = Path(__file__).resolve().parents[1]

Damage = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Attempt:
    """One fault and what came of it."""

    fault: str
    outcome: Outcome
    text: str


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    errors: str


@dataclass(frozen=True)
class Job:
    """A training that is disturbed.

    Attributes:
        settings: what is trained.
        sha256: of the weights that it ends with when it is left alone.
    """

    settings: tuple[str, ...]
    sha256: str

    def judged(self, fault: str, out: Path, ended: Ended) -> Attempt:
        """Judges how a disturbed command ended; one that was refused is given again, undisturbed."""
        if ended.status == 0:
            right = weights(out) == self.sha256
            return Attempt(fault, "same" if right else "LOST", f"sha256 {weights(out)[:16]}")
        lines = ended.errors.strip().splitlines()
        if ended.status != REFUSED or len(lines) != 1 or not lines[0].startswith("siit"):
            return Attempt(fault, "LOST", f"status {ended.status}, {len(lines)} lines: {ended.errors[-300:]}")
        again = train(out, self.settings)
        right = again.status == 0 and weights(out) == self.sha256
        return Attempt(fault, "refused" if right else "LOST", lines[0] if right else again.errors[-300:])


def weights(out: Path) -> str:
    """The sha256 of a model's weights; empty where there is none."""
    file = out / MODEL / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def started(arguments: Sequence[str], *, encoding: str = "utf-8", **options: Any) -> subprocess.Popen[bytes]:
    """Starts a command of siit."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT), "PYTHONIOENCODING": encoding}
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    return subprocess.Popen([sys.executable, "-m", *arguments], env=environment, **streams)


def training(out: Path, settings: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Starts a training."""
    return started(["siit.train", *settings, f"out={out}"], **options)


def train(out: Path, settings: Sequence[str], *, largest: int | None = None, **options: Any) -> Ended:
    """Trains to the end.

    Args:
        out: where to.
        settings: what.
        largest: bytes that a file may have.
        options: see `started`.
    """

    def limited() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    with training(out, settings, stderr=subprocess.PIPE, preexec_fn=limited, **options) as process:
        _, errors = process.communicate()
    return Ended(process.returncode, errors.decode(options.get("encoding", "utf-8"), "replace"))


def reference(place: Path, settings: tuple[str, ...]) -> Job:
    """Trains undisturbed."""
    ended = train(place, settings)
    if ended.status != 0:
        raise SystemExit(f"the undisturbed run ended with status {ended.status}: {ended.errors}")
    return Job(settings, weights(place))


def killed(job: Job, place: Path, kills: int, draw: random.Random) -> Iterator[Attempt]:
    """Kills a run at random moments, then lets it end; each kill has the outcome of that end."""
    done: list[str] = []
    for number in itertools.count():
        out, before = place / f"killed-{number}", len(done)
        while len(done) < kills and (text := _killed(job, out, draw)):
            done.append(text)
        end = job.judged("SIGKILL", out, train(out, job.settings))
        yield from (Attempt("SIGKILL", end.outcome, f"{text}; in the end {end.text}") for text in done[before:])
        if len(done) == kills:
            return


def _killed(job: Job, out: Path, draw: random.Random) -> str:
    """Kills one process up to 500 steps later than the one before, and up to 5 s; says when, or nothing if it ended."""
    target = _step(out) + draw.randrange(500)
    with training(out, job.settings) as process:
        while process.poll() is None and _step(out) < target:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 5))
        step = _step(out)
        process.kill()
    return f"killed after step {step}" if process.returncode == -signal.SIGKILL else ""


def _step(out: Path) -> int:
    """The last step that a run's metrics tell of."""
    file = out / RUN / "metrics.csv"
    steps = [line.partition(",")[0] for line in file.read_text().splitlines()] if file.exists() else []
    return max((int(step) for step in steps if step.isdigit()), default=0)


def interrupted(job: Job, out: Path) -> None:
    """Leaves a run in the middle, with two checkpoints."""
    with training(out, job.settings) as process:
        while process.poll() is None and not (out / RUN / PREVIOUS).exists():
            time.sleep(0.002)
        process.kill()
    if not (out / RUN / PREVIOUS).exists():
        raise SystemExit("the run that was to be interrupted left no two checkpoints")


def _flipped(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


DAMAGES: tuple[tuple[str, Damage], ...] = (
    ("a flipped bit", _flipped),
    ("a flipped bit", _flipped),
    ("a flipped bit", _flipped),
    ("cut", lambda data, draw: data[: draw.randrange(1, len(data))]),
    ("one byte cut off", lambda data, draw: data[:-1]),
    ("empty", lambda data, draw: b""),
    ("garbage", lambda data, draw: draw.randbytes(len(data))),
    ("zeros", lambda data, draw: bytes(len(data))),
    ("a pickled list", lambda data, draw: b"\x80\x04]\x94."),
)


def damaged(job: Job, place: Path, draw: random.Random) -> Iterator[Attempt]:
    """Damages the last checkpoint in nine ways, and both; a damaged one that is all there is must be kept."""
    left = place / "left"
    interrupted(job, left)
    for number, (name, damage) in enumerate(DAMAGES):
        out = shutil.copytree(left, place / f"damaged-{number}")
        file = out / RUN / LAST
        file.write_bytes(damage(file.read_bytes(), draw))
        yield job.judged(f"last checkpoint: {name}", out, train(out, job.settings))
    out = shutil.copytree(left, place / "damaged-both")
    files = [out / RUN / name for name in (LAST, PREVIOUS)]
    for file in files:
        file.write_bytes(_flipped(file.read_bytes(), draw))
    before = [file.read_bytes() for file in files]
    ended = train(out, job.settings)
    if before != [file.read_bytes() for file in files]:
        yield Attempt("both checkpoints", "LOST", "what was there was changed")
        return
    anew = Job((*job.settings, "resume=false"), job.sha256)
    yield anew.judged("both checkpoints: a flipped bit", out, ended)


def at_once(job: Job, place: Path) -> Iterator[Attempt]:
    """Starts others while one trains, halted so that it has not ended before: the same command, and another rate."""
    out = place / "at-once"
    with training(out, job.settings) as first:
        while first.poll() is None and not (out / RUN / LAST).exists():
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)
        second = train(out, job.settings)
        third = train(out, (*job.settings, "trainer.learning_rate=0.001"))
        first.send_signal(signal.SIGCONT)
        first.wait()
    yield job.judged("the first process", out, Ended(int(first.returncode), ""))
    yield job.judged("a second process", out, second)
    text = third.errors.strip()
    held = "another process is training this" in text and "\n" not in text
    refused = third.status == REFUSED and held and weights(out) == job.sha256
    yield Attempt("another learning rate", "refused" if refused else "LOST", text)


def full_disk(job: Job, place: Path) -> Iterator[Attempt]:
    """Fails the first write of a file that is too large: any at all, a checkpoint, a file of the bundle."""
    interrupted(job, place / "measured")
    checkpoint = (place / "measured" / RUN / LAST).stat().st_size
    evidence = (place / "short" / MODEL / "evaluation.safetensors").stat().st_size
    if not checkpoint < evidence:
        raise SystemExit(f"the checkpoint ({checkpoint} bytes) is not smaller than the evidence ({evidence})")
    limits = {"the first file": 0, "a checkpoint": checkpoint // 2, "the bundle": (checkpoint + evidence) // 2}
    for name, largest in limits.items():
        out = place / f"full-{largest}"
        yield job.judged(f"disk full at {name}", out, train(out, job.settings, largest=largest))


def streams(job: Job, certified: Path, place: Path) -> Iterator[Attempt]:
    """Trains and certifies into a closed pipe, and in each encoding."""
    out = place / "closed"
    with training(out, job.settings, stdout=_closed_pipe(), stderr=subprocess.STDOUT) as process:
        process.wait()
    yield job.judged("closed pipe: train", out, Ended(process.returncode, ""))
    with started(["siit.certify", str(certified)], stdout=_closed_pipe(), stderr=subprocess.STDOUT) as process:
        process.wait()
    yield _status("closed pipe: certify", process.returncode)
    for encoding in ENCODINGS:
        out = place / encoding
        yield job.judged(f"{encoding}: train", out, train(out, job.settings, encoding=encoding))
        with started(["siit.certify", str(certified)], encoding=encoding) as process:
            process.wait()
        yield _status(f"{encoding}: certify", process.returncode)


def _closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _status(fault: str, status: int) -> Attempt:
    return Attempt(fault, "LOST" if status else "same", f"status {status}")


FAULTS = ("damaged checkpoints", "two at once", "full disk", "streams", "kills")


def main() -> int:
    """Disturbs, prints, and returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--faults", nargs="+", default=FAULTS, choices=FAULTS, metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--kills", type=int, default=10, help="how often the whole run is killed (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the damages (default: 0)")
    options = parser.parse_args()
    draw, console = random.Random(options.seed), Console(highlight=False, markup=False)
    table = Table("fault", *OUTCOMES)
    lost = False
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        whole = reference(place / "whole", WHOLE)
        console.print(f"undisturbed: sha256 {whole.sha256[:16]}", soft_wrap=True)
        short = reference(place / "short", SHORT)
        console.print(f"undisturbed, short: sha256 {short.sha256[:16]}", soft_wrap=True)
        made = {
            "damaged checkpoints": lambda: damaged(short, place, draw),
            "two at once": lambda: at_once(short, place),
            "full disk": lambda: full_disk(short, place),
            "streams": lambda: streams(short, place / "whole" / MODEL, place),
            "kills": lambda: killed(whole, place, options.kills, draw),
        }
        for name in options.faults:
            counts: Counter[Outcome] = Counter()
            for attempt in made[name]():
                counts[attempt.outcome] += 1
                console.print(f"{attempt.outcome:8} {attempt.fault}: {attempt.text[:160]!r}", soft_wrap=True)
            table.add_row(name, *(str(counts[outcome]) for outcome in OUTCOMES))
            lost = lost or bool(counts["LOST"])
    console.print(table)
    return int(lost)


if __name__ == "__main__":
    sys.exit(main())
