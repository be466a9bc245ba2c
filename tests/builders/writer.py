"""Writes bundles in a process of its own, to be killed or to compete with others.

Usage: python -m tests.builders.writer <root> <case> <seed> <salt> [<salt> ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

from siit.bundle import write_bundle
from tests.builders.bundles import make_bundle


def main(root: str, case: str, seed: str, *salts: str) -> None:
    for salt in salts:
        bundle = make_bundle(case=case, seed=int(seed), salt=int(salt))
        print("writing", flush=True)
        write_bundle(Path(root), bundle)


if __name__ == "__main__":
    main(*sys.argv[1:])
