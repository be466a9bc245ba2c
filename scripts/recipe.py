"""Holds the recipe of training against lists of models: `python -m scripts.recipe run LIST --out DIR --jobs 2`.

A list is a file of `scripts/recipe_lists`, or any other of its form: a case, and its seeds, on each line.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence

import yaml

from siit.catalogue import IOI, catalogue
from siit.training.configuration.location import conf_dir

LISTS = conf_dir().parent / "scripts" / "recipe_lists"


def draw(given: Sequence[str], excluded: Sequence[str], count: int, seed: int) -> list[str]:
    """Draws cases at random among the catalogue's programs, behind those that are given.

    Args:
        given: cases that stand first.
        excluded: cases that are not drawn.
        count: how many cases there are in the end, those given included.
        seed: of the draw.
    """
    rest = sorted(set(catalogue()) - {*given, *excluded} - {c.name for c in catalogue().values() if c.family == IOI})
    return [*given, *random.Random(seed).sample(rest, count - len(given))]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw", help="print cases drawn at random from the catalogue, as a list")
    drawing.add_argument("--given", nargs="*", default=[], help="cases that stand first")
    drawing.add_argument("--count", type=int, default=24, help="cases in all")
    drawing.add_argument("--seed", type=int, default=21, help="of the draw")
    drawing.add_argument("--seeds", type=int, nargs="+", default=[2, 3], help="of each case")
    chosen = parser.parse_args()
    excluded = list(yaml.safe_load((LISTS / "development.yaml").read_text()))
    for case in draw(chosen.given, excluded, chosen.count, chosen.seed):
        print(f"{case}: {chosen.seeds}")


if __name__ == "__main__":
    main()
