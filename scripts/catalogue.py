"""Prints what docs/catalogue.md says of every case: `python scripts/catalogue.py`.

Which are certified is printed by scripts/results.py and scripts/suite_table.py, from bundles and reports. Describing
all cases and counting their interchanges takes minutes.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

import tracr_cases
from siit.catalogue import CaseInfo
from siit.training.describe import describe, interchange_shares
from tracr_cases.catalogue import FAMILIES

INTRODUCTION = """\
# The catalogue

{count} cases: all 129 tasks of InterpBench under their ids, and {own} of our own, whose circuits have at least four
heads and MLPs that interact. `case=random` draws further ones ([generator.md](generator.md)). Printed by
`python scripts/catalogue.py`.

Tiers (`siit/graph/tiers.py`): **pointwise**, no attention matters; **single**, one attention step; **composed**, two or
more components that interact; **deep**, four or more layers.
"""
ALL = """\
## All cases

`layers` is what the program needs, `nodes` its heads and MLPs, `edges` those of its circuit, the embeddings' included.
`differs`: the share of 4,096 training pairs in which the unit that differs least does; `changes`: in which the
interchange that changes the answer least does (of those that can: which slot is BOS is the same in every input).
`siit cases CASE --interchanges` shows all of them.
"""


def row(name: str) -> tuple[CaseInfo, str]:
    """A case, and its line."""
    case, shares = describe(name), interchange_shares(name)
    differs = min(found.differs for found in shares.values() if found.differs is not None)
    changes = min((found.changes for found in shares.values() if not found.constant), default=0.0)
    return case, (
        f"| `{name}` | {case.interpbench_id or ''} | {case.tier} | {case.layers} | {case.circuit_nodes} "
        f"| {case.circuit_edges} | {case.output} | {differs:.0%} | {changes:.0%} | {case.description} |"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    names = tracr_cases.names()
    context = get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        rows = list(pool.map(row, names, chunksize=4))
    own = sum(case.interpbench_id is None for case, _ in rows)
    sys.stdout.write(INTRODUCTION.format(count=len(rows), own=own))
    print("\n" + ALL)
    for family in FAMILIES:
        print(f"\n### {family}\n")
        print("| case | InterpBench | tier | layers | nodes | edges | output | differs | changes | what it computes |")
        print("|" + "---|" * 10)
        print("\n".join(line for case, line in rows if case.family == family))


if __name__ == "__main__":
    main()
