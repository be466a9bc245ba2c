"""Describes cases from their code, for the catalogue that the package ships.

`python -m siit.training.describe` writes `siit/data/catalogue.json` and `drawn.json` (the generator's first programs),
again whenever a case or the generator changes. Tests compare the data with the code.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import multiprocessing
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

import tracr_cases
from siit.catalogue import DRAWN_FILE, FILE, IOI, CaseInfo, CaseVariable, DrawnProgram, drawn_name
from siit.graph.tiers import TIERS, tier
from siit.interchange.alignment import program_layers
from siit.interchange.capacity import needed_capacity
from siit.interchange.interventions import Shares
from siit.tasks import declare
from siit.training.configuration.overrides import case_settings
from siit.training.configuration.settings import Settings
from siit.training.fit.plan import find_task, plan_for
from siit.training.generator import generate
from siit.training.ioi.causal_models import IOI_CASES
from siit.training.rasp import build_causal_model, task_from_case
from tracr_cases import pointwise

PAIRS = 4096
"""Pairs on which interchanges are counted."""
DRAWN_SEEDS = 10
"""Seeds of each tier of which the package knows what the generator draws."""


def case_names() -> list[str]:
    """Lists all cases: those of programs, and Indirect Object Identification."""
    return [*tracr_cases.names(), *IOI_CASES]


def describe(name: str) -> CaseInfo:
    """Builds what the catalogue says of a case, with the default model.

    Raises:
        KeyError: with the nearest names.
    """
    settings = _settings(name)
    task = find_task(settings.case)
    circuit = plan_for(task, settings).interchanges.labels.circuit
    model, case = task.model, None if name in IOI_CASES else tracr_cases.get(name)
    layers = program_layers(model, needed_capacity(model).mlps)
    read = {edge for carried in circuit.edges_by_carried for edge in _high_level(carried)}
    variables = [
        CaseVariable(
            name=variable.name,
            kind=variable.kind,
            place="head" if variable.is_attention else "MLP",
            layer=layers[variable.name],
            reads={
                slot or "": kept
                for slot, parents in variable.mechanism.parents.items()
                if (kept := [p for p in dict.fromkeys(parents) if (p, variable.name, slot or "") in read])
            },
            role=variable.description,
            in_circuit=any(variable.name in unit.split("+") for unit in circuit.alignment),
        )
        for variable in model.variables.values()
    ]
    return CaseInfo(
        name=name,
        family=IOI if case is None else case.family,
        tier=tier(circuit),
        interpbench_id=None if case is None else case.interpbench_id,
        vocab=list(model.vocab),
        min_len=task.min_len,
        max_len=model.max_len,
        output=model.answer.kind,
        circuit_nodes=len(circuit.unit_of),
        circuit_edges=len(circuit.carries),
        layers=max(layers.values()) + 1,
        description=IOI_CASES[name].description if case is None else case.description,
        fingerprint=task.fingerprint()["causal_model"],
        inputs=declare(task),
        variables=variables,
        excluded=dict(circuit.excluded),
        program=source(IOI_CASES[name].make) if case is None else program_source(case),
    )


def _high_level(carried: str) -> list[tuple[str, str, str]]:
    """Parent, child and slot of each high-level edge in the name of a carried one, `A+B->C<k+v>`."""
    parents, _, rest = carried.partition("->")
    children, _, slots = rest.removesuffix(">").partition("<")
    return [
        (parent, child, slot)
        for parent in parents.split("+")
        for child in children.split("+")
        for slot in slots.split("+")
    ]


def program_source(case: tracr_cases.Case) -> str:
    """Returns the source of a program: its function, or its row in the table of maps as a map."""
    if case.make.__name__ == case.name:
        return source(case.make)
    for row in ast.walk(ast.parse(inspect.getsource(pointwise))):
        if isinstance(row, ast.Call) and row.args and ast.unparse(row.func) == "TokenMap":
            name, function = (ast.unparse(row.args[index]) for index in (0, 3))
            if ast.literal_eval(name) == case.name:
                return f"rasp.Map({function}, rasp.tokens)"
    raise ValueError(f"{case.name}: found neither a function of this name nor a row of pointwise.MAPS")


def source(function: Callable[..., Any]) -> str:
    """Returns a function's source, without its decorators."""
    text = textwrap.dedent(inspect.getsource(function))
    return text[text.index(f"def {function.__name__}") :].rstrip()


def interchange_shares(name: str) -> dict[str, Shares]:
    """Counts how often each interchange of a case changes something, on 4,096 of its training pairs.

    Raises:
        KeyError: with the nearest names.
    """
    settings = _settings(name)
    plan = plan_for(find_task(settings.case), settings)
    generator = torch.Generator().manual_seed(0)
    pairs = plan.task.pairs("train").draw(PAIRS, generator)
    return plan.interchanges.shares(pairs, plan.task.answers, generator)


def _settings(name: str) -> Settings:
    """Composes the settings of a case, without any override; KeyError with the nearest names where there is none."""
    if name not in IOI_CASES:
        tracr_cases.get(name)
    return case_settings(name)


def render(cases: Sequence[CaseInfo]) -> str:
    """Renders the content of `catalogue.json`: one case a line, so that changes can be read."""
    lines = (json.dumps(dataclasses.asdict(case), ensure_ascii=False) for case in cases)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def describe_drawn(tier: str, seed: int) -> DrawnProgram:
    """Draws a program, and tells what makes it known again."""
    case = generate(tier, seed)
    task = task_from_case(case, build_causal_model(case))
    roles = {variable.name: variable.description for variable in task.model.variables.values()}
    return DrawnProgram(task.fingerprint()["causal_model"], declare(task), roles)


def render_drawn(programs: Mapping[str, DrawnProgram]) -> str:
    """Renders the content of `drawn.json`: one program a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(dataclasses.asdict(found))}" for name, found in programs.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Describes all cases, on all cores, and writes the data."""
    # Processes are spawned, not forked: JAX has threads by now.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        cases = list(pool.map(describe, case_names(), chunksize=4))
        places = [(tier, seed) for tier in TIERS for seed in range(DRAWN_SEEDS)]
        drawn = list(pool.map(describe_drawn, *zip(*places, strict=True)))
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(render(cases), encoding="utf-8")
    print(f"{FILE}: {len(cases)} cases")
    programs = {drawn_name(*place): found for place, found in zip(places, drawn, strict=True)}
    DRAWN_FILE.write_text(render_drawn(programs), encoding="utf-8")
    print(f"{DRAWN_FILE}: {len(programs)} programs")


if __name__ == "__main__":
    main()
