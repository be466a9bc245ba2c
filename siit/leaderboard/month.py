"""Derives the fresh cases of a month: programs of the generator that nobody can have tuned a method on.

The generator's seeds, and the seed of the models, come from the SHA-256 of a text. Its first four bytes are an unsigned
big-endian integer, which is taken modulo 2^31 - 1. For the first program of the tier `deep` the text is
`siit leaderboard 2026-12 deep 0`, and for the models' seed `siit leaderboard 2026-12 model`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from siit.catalogue import drawn_name
from siit.graph.tiers import COMPOSED, DEEP

FRESH_TIERS = (COMPOSED, DEEP)
"""On the others most methods are right, and say little."""
PER_TIER = 4
"""Programs of each tier."""
_SEEDS = (1 << 31) - 1
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Month:
    """The cases of a month.

    Attributes:
        name: year and month, `2026-12`.
        seeds: tier -> the generator's seeds.
        model_seed: of all models.
    """

    name: str
    seeds: Mapping[str, tuple[int, ...]]
    model_seed: int

    @property
    def models(self) -> list[tuple[str, int]]:
        """Case and seed of every model."""
        return [(drawn_name(tier, seed), self.model_seed) for tier, seeds in self.seeds.items() for seed in seeds]


def month(name: str) -> Month:
    """Derives the cases of a month.

    Raises:
        ValueError: a text that names no month.
    """
    if not (name.isascii() and _MONTH.fullmatch(name)):
        raise ValueError(f"month: found {name!r}, accepted is a year and a month, such as 2026-12")
    seeds = {tier: tuple(_seed(f"{name} {tier} {number}") for number in range(PER_TIER)) for tier in FRESH_TIERS}
    return Month(name, seeds, _seed(f"{name} model"))


def commands(of: Month) -> list[str]:
    """Writes the commands that train the models of a month, and put a method on them onto the board."""
    bundle, out = f"month-{of.name}", f"results-{of.name}"
    both = f"bundle=checkpoints,{bundle}"
    training = [
        f"siit train -m experiment=suite case=random case.tier={tier} "
        f"case.generator_seed={','.join(map(str, seeds))} seed={of.model_seed} out={bundle}"
        for tier, seeds in of.seeds.items()
    ]
    return [
        *training,
        f"siit suite report_only=true out={bundle}",
        f"siit evaluate {bundle} method=my_module:my_method out={out}",
        f"siit leaderboard add {out}/results.json {both}",
        f"siit leaderboard page {both} month={of.name}",
    ]


def _seed(text: str) -> int:
    digest = hashlib.sha256(f"siit leaderboard {text}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % _SEEDS
