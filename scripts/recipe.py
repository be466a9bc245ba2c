"""Holds the recipe of training against lists of models, and compares recipes.

python -m scripts.recipe run development --out /tmp/now --jobs 2
python -m scripts.recipe run development --out /tmp/half --jobs 2 trainer.batch_size=64
python -m scripts.recipe table /tmp/now
python -m scripts.recipe compare /tmp/now /tmp/half
python -m scripts.recipe draw --given reverse --count 24

A list is one of `scripts/recipe_lists`, or a file of that form: on each line a case and its seeds.

Each model is trained by a process of its own, `python -m siit.train`, on one thread and with a budget of CPU seconds,
all of that process. One that is not certified counts at the whole budget, whatever stopped it. So a recipe is better if
it certifies more models, and then if it takes fewer CPU seconds. A list is gone on with by the same command; models
that had not come to their end are begun anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from scripts.recipe_outcomes import (
    CERTIFIED,
    FAILED,
    RECIPE,
    RUNS,
    TIME_UP,
    UNCERTIFIED,
    Job,
    Outcome,
    budget_of,
    comparison,
    outcomes,
    report,
)
from siit.bundle import TRAINING_FILE
from siit.catalogue import IOI, catalogue
from siit.suite import selection

LISTS = Path(__file__).parent / "recipe_lists"
BUDGET = 1200
LOGS, MODELS = "logs", "models"
_CHECK = re.compile(r"^(step [\d,]+: .*); [\d.]+ steps/s.*$", re.MULTILINE)


def read_list(name: str) -> list[Job]:
    """Reads a list.

    Args:
        name: of a list of ours, or the path of a file.

    Raises:
        ValueError: a file that is no list.
    """
    path = LISTS / f"{name}.yaml" if (LISTS / f"{name}.yaml").exists() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LISTS.glob("*.yaml")))
        raise ValueError(f"list: found {name!r}, accepted is a file, or one of {known}")
    found = yaml.safe_load(path.read_text())
    if not isinstance(found, dict) or not all(isinstance(seeds, list) for seeds in found.values()):
        raise ValueError(f"{path}: found {type(found).__name__}, accepted are lines such as `reverse: [0, 1]`")
    return [Job(str(case), int(seed)) for case, seeds in found.items() for seed in seeds]


def longest_first(jobs: Iterable[Job]) -> list[Job]:
    """Orders models as a suite does: what is expected to take longest comes first."""
    listed = list(jobs)
    place = {case: index for index, case in enumerate(selection.longest_first({job.case for job in listed}))}
    return sorted(listed, key=lambda job: (place[job.case], job))


class Laboratory:
    """A folder in which the models of a list are trained by one recipe.

    Args:
        folder: holds `runs/` (what `table` reads), `logs/` and `models/`.
        overrides: of `python -m siit.train`, the same for all models.
        budget: CPU seconds of a process.

    Raises:
        ValueError: the folder is another recipe's.
    """

    def __init__(self, folder: Path, overrides: Sequence[str], budget: int) -> None:
        self.folder, self.overrides, self.budget = folder, list(overrides), budget
        for name in (RUNS, LOGS, MODELS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        recipe = {"overrides": self.overrides, "budget": budget}
        path = folder / RECIPE
        if not path.exists():
            path.write_text(json.dumps(recipe, indent=1) + "\n")
        elif (found := json.loads(path.read_text())) != recipe:
            raise ValueError(f"{path}: found {found}, accepted is {recipe}, or another --out")

    def run(self, jobs: Sequence[Job], processes: int) -> None:
        """Trains what has not come to its end yet, so many at a time."""
        waiting = [job for job in longest_first(jobs) if not self._done(job)][::-1]
        running: dict[int, tuple[Job, subprocess.Popen[bytes]]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    job = waiting.pop()
                    process = self._start(job)
                    running[process.pid] = job, process
                pid, status, usage = os.wait4(-1, 0)
                job, process = running.pop(pid)
                process.returncode = os.waitstatus_to_exitcode(status)
                outcome = self._outcome(job, process.returncode, usage.ru_utime + usage.ru_stime)
                self._write(outcome)
                print(f"{job.case}, seed {job.seed}: {outcome.ended}, {outcome.seconds:,.0f} CPU s", flush=True)
        finally:
            for _, process in running.values():
                process.terminate()

    def _done(self, job: Job) -> bool:
        """Tells whether a run has come to its end; one that failed through a fault has not."""
        path = self.folder / RUNS / f"{job.name}.json"
        return path.exists() and json.loads(path.read_text())["ended"] != FAILED

    def _start(self, job: Job) -> subprocess.Popen[bytes]:
        places = (f"out={self.folder / MODELS}", "resume=false", "overwrite=true")
        fixed = (f"case={job.case}", f"seed={job.seed}", "trainer.threads=1", "trainer.progress_bar=false")
        with open(self._log(job), "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "siit.train", *fixed, *places, *self.overrides],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (self.budget, self.budget + 5)),
            )

    def _log(self, job: Job) -> Path:
        return self.folder / LOGS / f"{job.name}.txt"

    def _outcome(self, job: Job, status: int, seconds: float) -> Outcome:
        """Reads how a run ended off its exit status, its log, and its model's record."""
        log = self._log(job).read_text(errors="replace")
        model = self.folder / MODELS / job.case / f"seed-{job.seed}"
        bundled = status == 0
        trained: dict[str, Any] = json.loads((model / TRAINING_FILE).read_text()) if bundled else {}
        # With allow_uncertified=true what is bundled need not be certified.
        certified = bundled and json.loads((model / "certificate.json").read_text())["certified"]
        whole = CERTIFIED if certified else UNCERTIFIED
        ended = {0: whole, 1: UNCERTIFIED, -signal.SIGXCPU: TIME_UP}.get(status, FAILED)
        stood = last_check(log)
        return Outcome(
            job.case,
            job.seed,
            ended,
            trained.get("steps", steps_of(stood)),
            trained.get("seconds", {}).get("cpu"),
            round(self.budget if ended == TIME_UP else seconds, 1),
            stood,
            "" if ended == CERTIFIED else diagnosis(log),
        )

    def _write(self, outcome: Outcome) -> None:
        path = self.folder / RUNS / f"{Job(outcome.case, outcome.seed).name}.json"
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n")
        os.replace(beside, path)


def last_check(log: str) -> str:
    """Finds the last line of a log that tells of a check, without the pace."""
    found = _CHECK.findall(log)
    return str(found[-1]) if found else ""


def steps_of(check: str) -> int | None:
    """Reads the step of a check's line; None where there is no line."""
    return int(check.split()[1].strip(":").replace(",", "")) if check else None


def diagnosis(log: str) -> str:
    """Finds training's last complaint: from `siit.train:` on, or else the last line."""
    _, found, complaint = log.rpartition("siit.train: ")
    return complaint.strip() if found else (log.strip().splitlines() or [""])[-1]


def draw(given: Sequence[str], excluded: Sequence[str], count: int, seed: int) -> list[str]:
    """Draws cases at random among the catalogue's programs, behind those that are given.

    Args:
        given: cases that stand first.
        excluded: cases that are not drawn.
        count: how many cases there are in the end, those given included.
        seed: of the draw.
    """
    programs = {name for name, case in catalogue().items() if case.family != IOI}
    rest = sorted(programs - {*given, *excluded})
    return [*given, *random.Random(seed).sample(rest, count - len(given))]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        "recipe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    usage = "%(prog)s [-h] [--jobs JOBS] [--budget BUDGET] --out OUT list [key=value ...]"
    running = commands.add_parser("run", usage=usage, help="train the models of a list, all with these overrides")
    running.add_argument("list", help="a list's name, or a file")
    running.add_argument("--out", type=Path, required=True, help="folder of this recipe's runs")
    running.add_argument("--jobs", type=int, default=1, help="processes at a time, of one thread each")
    running.add_argument("--budget", type=int, default=BUDGET, help="CPU seconds of a process")
    shown = commands.add_parser("table", help="print how the runs of a folder ended")
    shown.add_argument("folder", type=Path)
    compared = commands.add_parser("compare", help="print two folders' runs model by model")
    compared.add_argument("folders", type=Path, nargs=2, metavar="folder")
    compared.add_argument("--budget", type=int, help="CPU seconds at which failures count; the smaller of the two")
    drawing = commands.add_parser("draw", help="print cases drawn at random from the catalogue, as a list")
    drawing.add_argument("--given", nargs="*", default=[], help="cases that stand first")
    drawing.add_argument("--count", type=int, default=24, help="cases in all")
    drawing.add_argument("--seed", type=int, default=21, help="of the draw")
    drawing.add_argument("--seeds", type=int, nargs="+", default=[2, 3], help="of each case")
    # argparse takes no positional arguments behind options once there were others before them.
    chosen, overrides = parser.parse_known_args(arguments)
    chosen.overrides = overrides
    wrong = [text for text in overrides if chosen.command != "run" or text.startswith("-") or "=" not in text]
    if wrong:
        parser.error(f"found {' '.join(wrong)}; accepted behind `run LIST` are overrides of siit.train, as key=value")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line."""
    chosen = parse(arguments)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        if chosen.command == "run":
            Laboratory(chosen.out, chosen.overrides, chosen.budget).run(read_list(chosen.list), chosen.jobs)
        if chosen.command in ("run", "table"):
            folder = chosen.out if chosen.command == "run" else chosen.folder
            print(report(outcomes(folder), budget_of(folder)))
        elif chosen.command == "compare":
            budget = chosen.budget or min(map(budget_of, chosen.folders))
            one, other = map(outcomes, chosen.folders)
            print(comparison(one, other, budget))
        elif chosen.command == "draw":
            excluded = [job.case for job in read_list("development")]
            for case in draw(chosen.given, excluded, chosen.count, chosen.seed):
                print(f"{case}: {chosen.seeds}")
    except (ValueError, OSError) as error:
        sys.exit(f"recipe: {error}")


def _interrupted(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
