"""Draws programs from a grammar: which of a tier there are, and how likely each is."""

from __future__ import annotations

import random

from tracr.rasp import rasp

from siit.graph.tiers import COMPOSED, DEEP, POINTWISE, SINGLE
from siit.training.generator.attention_steps import counted, fetched, shared
from siit.training.generator.draft import Draft, Value
from siit.training.generator.pointwise_steps import combined, mapped
from siit.training.rasp.from_rasp import SHARE_SUFFIX
from tracr_cases import Case

REUSE = 0.2
"""How often a step reads what was computed before instead of something new."""
DEPTH = {COMPOSED: (2, 3), DEEP: (3, 4)}
"""Steps from the inputs to the answer, at least and at most; what they come to is for the checks to say."""


def draw_program(tier: str, name: str, draw: random.Random) -> Case | None:
    """Draws a program that may be of a tier, as a case; None where nothing fits what was drawn first.

    Args:
        tier: one of `siit.graph.tiers.TIERS`.
        name: of the case.
        draw: the only source of randomness.
    """
    draft = Draft(draw)
    if tier == POINTWISE:
        answer = _pointwise(draft)
    elif tier == SINGLE:
        answer = _single(draft)
    else:
        answer = _value(draft, draw.randint(*DEPTH[tier]))
    if answer is None or answer.words not in draft.roles:
        return None
    used = {part.name for part in _parts(answer.sop)}
    roles = {key: role for key, role in draft.roles.items() if key.removesuffix(SHARE_SUFFIX) in used}
    return Case(
        name=name,
        make=lambda: answer.sop,
        vocab=draft.vocab,
        max_len=draft.max_len,
        min_len=draft.min_len,
        family="random",
        description=_description(answer.words, roles),
        causal=_looks_back(answer.sop, draft.max_len),
        roles=roles,
    )


def _pointwise(draft: Draft) -> Value | None:
    """A function of the token and the position, in one to three steps."""
    left = draft.tokens if draft.draw.random() < 0.4 else mapped(draft, draft.tokens)
    if left is None or draft.draw.random() < 0.3:
        return left
    right = draft.indices if draft.draw.random() < 0.4 else mapped(draft, draft.indices)
    if draft.draw.random() < 0.3:
        right = mapped(draft, draft.tokens)
    return None if right is None else combined(draft, left, right)


def _single(draft: Draft) -> Value | None:
    """One attention step on the inputs, and at most one pointwise step that can be in the same layer."""
    if draft.draw.random() < 0.5:
        keys, queries = draft.tokens, draft.tokens
        if draft.draw.random() < 0.3:
            keys, queries = draft.draw.choice(((draft.tokens, draft.indices), (draft.indices, draft.tokens)))
        return counted(draft, keys, queries)
    found = fetched(draft, draft.tokens, draft.tokens)
    if draft.draw.random() < 0.2:
        return found
    if draft.draw.random() < 0.3:
        return mapped(draft, found)
    return combined(draft, found, draft.draw.choice((draft.tokens, draft.tokens, draft.indices)))


def _value(draft: Draft, depth: int) -> Value | None:
    """A value that is at most `depth` steps from the inputs."""
    if depth == 0:
        return draft.tokens if draft.draw.random() < 0.85 else draft.indices
    if draft.made and draft.draw.random() < REUSE:
        return draft.draw.choice(draft.made)
    steps = (_combine, _fetch, _count, _share, _map)
    for step in draft.shuffled(steps, (3.0, 2.0, 2.0, 1.0, 1.0)):
        found = step(draft, depth)
        if found is not None:
            return found
    return None


def _combine(draft: Draft, depth: int) -> Value | None:
    x, y = _value(draft, depth - 1), _value(draft, draft.draw.randrange(depth))
    return None if x is None or y is None else combined(draft, x, y)


def _fetch(draft: Draft, depth: int) -> Value | None:
    source = _value(draft, depth - 1)
    return None if source is None else fetched(draft, source, _value(draft, draft.draw.randrange(depth)))


def _count(draft: Draft, depth: int) -> Value | None:
    x = _value(draft, depth - 1)
    y = x if draft.draw.random() < 0.6 else _value(draft, draft.draw.randrange(depth))
    return None if x is None or y is None else counted(draft, x, y)


def _share(draft: Draft, depth: int) -> Value | None:
    x, y = _value(draft, depth - 1), _value(draft, draft.draw.randrange(depth))
    return None if x is None or y is None else shared(draft, x, y)


def _map(draft: Draft, depth: int) -> Value | None:
    x = _value(draft, depth - 1)
    return None if x is None else mapped(draft, x)


def _parts(program: rasp.RASPExpr) -> list[rasp.RASPExpr]:
    """All that a program computes, selections included; what is read twice comes twice."""
    return [program, *(part for child in program.children for part in _parts(child))]


def _looks_back(sop: rasp.SOp, max_len: int) -> bool:
    """Whether every position reads only itself and earlier ones, whatever the tokens."""
    for part in _parts(sop):
        if isinstance(part, rasp.Select):
            by_position = part.keys is rasp.indices and part.queries is rasp.indices
            if not by_position or any(part.predicate(k, q) for k in range(max_len) for q in range(k)):
                return False
    return True


def _description(answer: str, roles: dict[str, str]) -> str:
    """One sentence: what the answer is, and what the variables are that it names."""
    others = [f"{name}: {role}" for name, role in roles.items() if name != answer and not name.endswith(SHARE_SUFFIX)]
    return f"Computes {answer}: {roles[answer]}" + (f" ({'; '.join(others)})." if others else ".")
