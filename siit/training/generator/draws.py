"""Draws until a program is well formed; the n-th draw of a tier and seed is the same everywhere."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from siit.catalogue import drawn_name
from siit.graph.tiers import TIERS
from siit.training.generator.checks import Inspected, Rejected, check_compiled, check_program
from siit.training.generator.grammar import draw_program
from tracr_cases import Case

DRAWS = 500
"""Draws after which the generator gives up."""


class GeneratorError(ValueError):
    """No draw within the budget was well formed; the message says why not."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """One draw.

    Attributes:
        case: the program, None where not even that came about.
        rejected: why it is not taken, None where it is.
        inspected: its causal model and circuit, where it passed all checks but perhaps the one against Tracr.
        compile_seconds: CPU seconds of that last check, where it came to it.
    """

    case: Case | None
    rejected: str | None
    inspected: Inspected | None = None
    compile_seconds: float | None = None


def generate(tier: str, seed: int, *, draws: int = DRAWS) -> Case:
    """Draws the random program of a tier and a seed.

    Args:
        tier: one of `siit.graph.tiers.TIERS`.
        seed: 0 or more.
        draws: the budget.

    Raises:
        ValueError: an unknown tier, or a negative seed.
        GeneratorError: nothing well formed within the budget.
    """
    reasons: Counter[str] = Counter()
    for attempt in attempts(tier, seed, draws=draws):
        if attempt.rejected is None:
            assert attempt.case is not None
            return attempt.case
        reasons[attempt.rejected] += 1
    listed = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    raise GeneratorError(
        f"no well-formed {tier} program within {draws} draws of seed {seed}; why they were rejected: {listed}. "
        "Accepted is another seed"
    )


def attempts(tier: str, seed: int, *, draws: int = DRAWS) -> Iterator[Attempt]:
    """Yields the draws of a tier and a seed, up to the first that is taken.

    Args:
        tier: one of `siit.graph.tiers.TIERS`.
        seed: 0 or more.
        draws: the budget.

    Raises:
        ValueError: an unknown tier, or a negative seed.
    """
    if tier not in TIERS:
        raise ValueError(f"tier: found {tier!r}, accepted: {', '.join(TIERS)}")
    if seed < 0:
        raise ValueError(f"generator_seed: found {seed}, accepted is 0 or more")
    for number in range(draws):
        case = drawn(tier, seed, number)
        if case is None:
            yield Attempt(None, "no step fits what was drawn first")
            continue
        attempt = _checked(case, tier)
        yield attempt
        if attempt.rejected is None:
            return


def drawn(tier: str, seed: int, number: int) -> Case | None:
    """Draws one program, not checked; None where nothing fits.

    Args:
        tier: one of `siit.graph.tiers.TIERS`.
        seed: 0 or more.
        number: of the draw; tier, seed and number decide all of it.
    """
    # A string seeds by its SHA-512, the same in every process and on every machine.
    return draw_program(tier, drawn_name(tier, seed), random.Random(f"{tier}/{seed}/{number}"))


def _checked(case: Case, tier: str) -> Attempt:
    try:
        inspected = check_program(case, tier)
    except Rejected as rejected:
        return Attempt(case, rejected.reason)
    started, reason = time.process_time(), None
    try:
        check_compiled(case, inspected.model)
    except Rejected as rejected:
        reason = rejected.reason
    return Attempt(case, reason, inspected, time.process_time() - started)
