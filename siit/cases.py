"""`python -m siit.cases`: lists all cases, with the size of their circuits in the default model.

`--interchanges` shows instead how often each interchange of a case changes something, on pairs that it is trained on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import rich
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

import tracr_cases
from siit.graph.architecture import EMBEDDINGS, LOGITS
from siit.graph.tiers import tier
from siit.interchange.alignment import program_layers
from siit.interchange.interventions import Shares
from siit.training.configuration.overrides import case_settings
from siit.training.configuration.settings import Settings
from siit.training.fit.plan import find_task, plan_for
from siit.training.ioi.causal_models import IOI_CASES

FEW = 16
"""Cases that are described no slower in one process than in two."""
IOI = "ioi"
"""The family of the cases that no program of the catalogue describes."""
PAIRS = 4096
"""Pairs on which interchanges are counted."""


@dataclass(frozen=True)
class CaseInfo:
    """One row of the listing.

    Attributes:
        tier: pointwise, single, composed or deep, see `siit.graph.tiers`.
        output: categorical or numerical.
        circuit_nodes: heads and MLPs of the circuit.
        circuit_edges: edges of the circuit, those from the embeddings included.
        layers: what the program needs; the default model has one more, at least 2.
    """

    name: str
    family: str
    tier: str
    interpbench_id: str | None
    vocab: list[Any]
    max_len: int
    output: str
    circuit_nodes: int
    circuit_edges: int
    layers: int
    description: str


def _settings(name: str) -> Settings:
    """The settings of a case, without any override; KeyError with the nearest names where there is none."""
    if name not in IOI_CASES:
        tracr_cases.get(name)
    return case_settings(name)


def describe(name: str) -> CaseInfo:
    """What the listing says of a case.

    Raises:
        KeyError: with the nearest names.
    """
    settings = _settings(name)
    task = find_task(settings.case)
    model, circuit = task.model, plan_for(task, settings).interchanges.labels.circuit
    case = None if name in IOI_CASES else tracr_cases.get(name)
    return CaseInfo(
        name=name,
        family=IOI if case is None else case.family,
        tier=tier(circuit),
        interpbench_id=None if case is None else case.interpbench_id,
        vocab=list(model.vocab),
        max_len=model.max_len,
        output=model.answer.kind,
        circuit_nodes=sum(node not in (*EMBEDDINGS, LOGITS) for node in circuit.members),
        circuit_edges=len(circuit.carries),
        layers=max(program_layers(model).values()) + 1,
        description=IOI_CASES[name].description if case is None else case.description,
    )


def describe_all(names: Sequence[str]) -> list[CaseInfo]:
    """What the listing says of these cases; many of them on all cores, with a progress bar on stderr."""
    processes = min(os.cpu_count() or 1, len(names) // FEW)
    if processes < 2:
        return [describe(name) for name in names]
    # Processes are spawned, not forked: JAX has threads by now.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        described = pool.map(describe, names, chunksize=4)
        console = Console(stderr=True)
        return list(track(described, "Describing", total=len(names), console=console, transient=True))


def table(cases: list[CaseInfo]) -> Table:
    """The listing for people."""
    result = Table(title=f"{len(cases)} cases", title_justify="left")
    for column in ("case", "family", "tier", "layers", "nodes", "edges", "output", "length", "InterpBench"):
        result.add_column(column, justify="right" if column in ("layers", "nodes", "edges", "length") else "left")
    for case in cases:
        row = (
            case.layers,
            case.circuit_nodes,
            case.circuit_edges,
            case.output,
            case.max_len,
            case.interpbench_id or "",
        )
        result.add_row(case.name, case.family, case.tier, *map(str, row))
    return result


def interchange_shares(name: str) -> dict[str, Shares]:
    """How often each interchange of a case changes something, on 4,096 of its training pairs.

    Raises:
        KeyError: with the nearest names.
    """
    settings = _settings(name)
    plan = plan_for(find_task(settings.case), settings)
    generator = torch.Generator().manual_seed(0)
    pairs = plan.task.pairs("train").draw(PAIRS, generator)
    return plan.interchanges.shares(pairs, plan.task.answers, generator)


def interchange_table(name: str, shares: dict[str, Shares]) -> Table:
    """How often each interchange of a case changes something, for people."""
    result = Table(title=f"{name}: share of {PAIRS:,} pairs in which", title_justify="left")
    result.add_column("exchanging")
    result.add_column("it differs", justify="right")
    result.add_column("the answer changes", justify="right")
    for interchange, found in shares.items():
        differs = "" if found.differs is None else f"{found.differs:.1%}"
        result.add_row(interchange, differs, f"{found.changes:.1%}")
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m siit.cases", description="Lists all cases of the catalogue.")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument(
        "--interchanges", nargs="+", metavar="CASE", help="how often each interchange changes something"
    )
    arguments = parser.parse_args()
    if arguments.interchanges:
        try:
            shares = {name: interchange_shares(name) for name in arguments.interchanges}
        except KeyError as error:
            parser.error(error.args[0])
        if arguments.json:
            plain = {name: {key: vars(value) for key, value in found.items()} for name, found in shares.items()}
            print(json.dumps(plain, indent=1))
        else:
            rich.print(*[interchange_table(name, found) for name, found in shares.items()], sep="\n")
        return
    cases = describe_all([*tracr_cases.names(), *IOI_CASES])
    if arguments.json:
        print(json.dumps([dataclasses.asdict(case) for case in cases], indent=1))
    else:
        rich.print(table(cases))


if __name__ == "__main__":
    main()
