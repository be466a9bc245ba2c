"""The verdict: which bars do not hold, by how much, and at which components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siit.certificate.certificate import Effect

_NAMED = 3
"""Components that a failure names."""


def failures(
    values: Mapping[str, Mapping[str, float]],
    effect: Effect | None,
    effect_details: Mapping[str, Mapping[str, Any]],
    evidence: Mapping[str, Any],
    bars: Mapping[str, float],
) -> list[str]:
    """Lists each bar that does not hold, as a readable line.

    Args:
        values: field -> component -> the share of scored positions at which the model is right.
        effect: what every part of the circuit moves, if it was measured.
        effect_details: `units`, `edges`, `nodes` -> name -> how it was measured.
        evidence, bars: counts and bars, as the certificate has them.
    """
    lines = [line for field, shares in values.items() if (line := _short(field, shares, bars[field]))]
    if effect is not None:
        for kind, effects in (("unit", effect.units), ("edge", effect.edges), ("node", effect.nodes)):
            lines += _dead(kind, effects, effect_details[f"{kind}s"], bars)
    return lines + _insufficient(evidence)


def _short(field: str, shares: Mapping[str, float], bar: float) -> str | None:
    below = sorted((value, name) for name, value in shares.items() if not value >= bar)
    if not below:
        return None
    line = f"{field}: {below[0][0]:.5f} is {bar - below[0][0]:.5f} below {bar}"
    if list(shares) == ["all"]:
        return line
    named = ", ".join(f"{name} {value:.5f}" for value, name in below[:_NAMED])
    more = f", and {len(below) - _NAMED} more" if len(below) > _NAMED else ""
    return f"{line}: {len(below)} of {len(shares)} fall short, the worst first: {named}{more}"


def _dead(kind: str, effects: Mapping[str, float], details: Mapping[str, Any], bars: Mapping[str, float]) -> list[str]:
    lines = []
    for value, name in sorted((value, name) for name, value in effects.items()):
        how = details[name]
        bar = bars["effect_logits" if how["measure"] == "logits" else "effect"]
        if not value > bar:
            by = "interchange" if how["by"] == "exchange" else "replacement by zero"
            what = "changes the logits by" if how["measure"] == "logits" else "changes the answer at a share of"
            lines.append(
                f"effect: {kind} {name}: its {by} {what} {value:.6f} over {how['positions']} positions, "
                f"which is not above {bar:g}"
            )
    return lines


def _insufficient(evidence: Mapping[str, Any]) -> list[str]:
    if evidence["exhaustive"]:
        return []
    required = evidence["required"]
    few = [(count, field) for field, count in evidence["scored"].items() if count < required["scored"]]
    rare = [
        (counts["changed_pairs"], name)
        for name, counts in evidence["exchanges"].items()
        if 0 < counts["changed_pairs"] < required["changed_pairs"]
    ]
    lines = []
    if few:
        lines.append(f"evidence: fewer than {required['scored']} scored positions: {_fewest(few)}")
    if rare:
        lines.append(f"evidence: fewer than {required['changed_pairs']} pairs with a changed answer: {_fewest(rare)}")
    return lines


def _fewest(counts: list[tuple[int, str]]) -> str:
    named = ", ".join(f"{name} {count}" for count, name in sorted(counts)[:_NAMED])
    return named + (f", and {len(counts) - _NAMED} more" if len(counts) > _NAMED else "")
