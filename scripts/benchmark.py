"""Measures training: `python scripts/benchmark.py [case ...] [--overrides model=interpbench ...]`.

For each case, in a process of its own: steps per second, the causal model's share of a step, and (unless --no-training)
steps and seconds of training until its checks pass, these included; peak memory, threads. `--device cuda` takes the
figures of a step on a GPU; with `--no-training`, for trainings take their device from `trainer.accelerator`.
Prints a table and writes a JSON file beside it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WARM_UP, TIMED = 20, 100


def measure_case(case: str, overrides: list[str], training: bool, device_name: str) -> dict[str, Any]:
    """All figures of one case."""
    import torch

    from siit.training.configuration.overrides import composed
    from siit.training.configuration.settings import read_settings
    from siit.training.fit.checkpoints import RunFolder
    from siit.training.fit.data_module import PairDataModule, step_generator
    from siit.training.fit.loop import fit, make_module
    from siit.training.fit.plan import find_task, make_plan

    settings = read_settings(composed(f"case={case}", "logger=none", "trainer.progress_bar=false", *overrides))
    torch.set_num_threads(settings.trainer.threads)
    started = time.perf_counter()
    plan = make_plan(find_task(settings.case), settings)
    figures: dict[str, Any] = {"case": case, "threads": settings.trainer.threads, "plan_s": since(started)}

    device = torch.device(device_name)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    module = make_module(plan, settings).to(device)
    module.setup("fit")
    data = PairDataModule(plan.task, settings.trainer.batch_size, settings.trainer.check_every, settings.seed)
    optimizer = module.configure_optimizers()["optimizer"]
    seconds = {"step": 0.0, "causal model": 0.0}
    for step in range(WARM_UP + TIMED):
        started = time.perf_counter()
        batch, generator = data.draw(step, device), step_generator(0, step, device)
        choice = module.objective.draw_choice(batch.count, generator)
        pairs = batch.draw(choice, module.objective.interchanges)
        # Half of the steps as in the circuit-first phase, half as after it.
        drawn = module.objective.draw(pairs, generator, circuit_only=step % 2 == 0, choice=choice)
        optimizer.zero_grad()
        module.objective.evaluate(module.model, pairs, drawn).loss.backward()
        optimizer.step()
        wait()
        taken = since(started)
        started = time.perf_counter()
        module.objective.interchanges.answers(pairs, drawn.choice, drawn.source_positions)
        wait()
        if step >= WARM_UP:
            seconds["step"] += taken
            seconds["causal model"] += since(started)
    figures["steps_per_s"] = TIMED / seconds["step"]
    figures["causal_model_share"] = seconds["causal model"] / seconds["step"]
    figures["parameters"] = sum(parameter.numel() for parameter in module.model.parameters())

    if training:
        with tempfile.TemporaryDirectory() as root:
            folder = RunFolder(Path(root), case, settings.seed)
            folder.open({}, resume=False)
            started = time.perf_counter()
            done = fit(plan, settings, folder)
            figures |= {"training_s": since(started), "steps": done.steps, "passed": done.passed}
    figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def since(started: float) -> float:
    """Seconds from then to now."""
    return time.perf_counter() - started


def run_case(arguments: tuple[str, list[str], bool, str]) -> dict[str, Any]:
    """`measure_case`, as a pool calls it."""
    return measure_case(*arguments)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="cases to measure; all by default")
    parser.add_argument("--overrides", nargs="*", default=[], help="what `python -m siit.train` would be given")
    parser.add_argument("--no-training", action="store_true", help="measure the speed of a step only")
    parser.add_argument("--device", default="cpu", help="what a step is timed on, by torch's name (default: cpu)")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"), help="where the figures go")
    options = parser.parse_args()

    from siit._command_line import UsageError
    from siit._device import usable_device
    from siit.suite.selection import choose

    try:
        cases = choose(options.cases or None)
        usable_device(options.device, key="--device")
    except (UsageError, ValueError) as error:
        sys.exit(f"benchmark: {error}")
    results = []
    header = (
        f"{'case':28} {'steps/s':>8} {'HL share':>8} {'passed at':>12} {'seconds':>8} {'peak MB':>8} {'threads':>7}"
    )
    print(header)
    for case in cases:
        # A process for each case: its peak memory is its own.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            figures = pool.map(run_case, [(case, options.overrides, not options.no_training, options.device)])[0]
        results.append(figures)
        passed = figures["steps"] if figures.get("passed") else "-"
        seconds = f"{figures['training_s']:.0f}" if "training_s" in figures else "-"
        print(
            f"{case:28} {figures['steps_per_s']:8.1f} {figures['causal_model_share']:8.1%} {passed!s:>12} "
            f"{seconds:>8} {figures['peak_memory_mb']:8.0f} {figures['threads']:7}",
            flush=True,
        )
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        document = {"machine": machine, "overrides": options.overrides, "cases": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
