"""The high-level causal models of Indirect Object Identification, and the cases that train on them.

In all of them a variable holds the *name* that it is about rather than where this name stands: exchanged between two
sentences with the names' roles exchanged, it leads to one answer. Where a sentence with other names is exchanged, so
that no name is left that is not inhibited, or two are, the answer is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from siit.causal import INDICES, TOKENS, Aggregate, CausalModel, LeastInhibited, Lookup, Variable
from siit.causal.mechanisms import NOT_SELECTED, SELECTED, Selection

Names = Int[Tensor, " names"]


def ioi(vocab: Sequence[str], max_len: int, names: Names) -> CausalModel:
    """Duplicate-token, S-inhibition and name-mover heads: the circuit that the InterpBench paper (section 4.3) uses.

    `duplicate` at a slot: the name there, if it stands there or before at least twice. `s_inhibition`: the one name
    that is so marked up to a slot. `name_mover`: the one name up to a slot that is another. The answer counts at the
    last word.
    """
    variables = [
        _duplicate(vocab, names),
        _s_inhibition(vocab, names),
        Variable(
            "name_mover",
            tuple(vocab),
            Lookup("s_inhibition", TOKENS, TOKENS, "other", 1, names),
            "name mover: attends to the name that is not inhibited (the indirect object), and copies it",
        ),
    ]
    return CausalModel(vocab, max_len, variables, scored_at="last")


def ioi_full(vocab: Sequence[str], max_len: int, names: Names) -> CausalModel:
    """Closer to Wang et al. (arXiv 2211.00593, section 3): two ways to see the repetition, and two signals of it.

    Beside `duplicate` and `s_inhibition` of `ioi`, the *token signal*: `previous` at a slot is the token before it;
    `induction` at a name is the place after its earlier mention, found by what stands before that place;
    `s_position`, the *position signal*, is the furthest such place up to a slot. `name_mover` copies the name that the
    two signals inhibit least, of several mentions the first. Where an intervention turns one of them to the other name
    of the sentence, that is its own subject: the second mention stands at no place that is inhibited, and a name
    inhibits less than a place does. Where it turns one to nothing, or to a name that is not in the sentence, the answer
    is undefined, as in `ioi`.
    """
    places = tuple(range(max_len))
    before = torch.full((max_len + 1, max_len + 1), NOT_SELECTED, dtype=torch.int8)
    before[torch.arange(1, max_len), torch.arange(max_len - 1)] = SELECTED
    variables = [
        Variable(
            "previous",
            tuple(vocab),
            Aggregate(Selection(INDICES, INDICES, before, causal=True, valid=False), TOKENS, None),
            "previous token: the token of the slot before",
        ),
        _duplicate(vocab, names),
        Variable(
            "induction",
            places,
            Lookup(TOKENS, "previous", INDICES, "same", 1, names),
            "induction: the place after the earlier mention of the name that stands here",
        ),
        _s_inhibition(vocab, names),
        Variable(
            "s_position",
            places,
            Lookup(None, "induction", "induction", None, 1, torch.arange(max_len), greatest=True),
            "S-inhibition, position signal: brings the place of the subject's first mention to the last word",
        ),
        Variable(
            "name_mover",
            tuple(vocab),
            LeastInhibited("s_inhibition", "s_position", TOKENS, INDICES, TOKENS, names),
            "name mover: attends to the name that the two signals inhibit least (the indirect object), and copies it",
        ),
    ]
    return CausalModel(vocab, max_len, variables, scored_at="last")


def _duplicate(vocab: Sequence[str], names: Names) -> Variable:
    return Variable(
        "duplicate",
        tuple(vocab),
        Lookup(TOKENS, TOKENS, TOKENS, "same", 2, names),
        "duplicate token: marks a name that was mentioned before, with this name",
    )


def _s_inhibition(vocab: Sequence[str], names: Names) -> Variable:
    return Variable(
        "s_inhibition",
        tuple(vocab),
        Lookup(None, "duplicate", "duplicate", None, 1, names),
        "S-inhibition, token signal: brings the name that is mentioned twice (the subject) to the last word",
    )


@dataclass(frozen=True)
class IOICase:
    """A case of Indirect Object Identification.

    Attributes:
        make: builds the causal model from the vocabulary, the largest number of tokens, and the names' ids.
        description: what is computed.
        other_order: whether sources may be the base with the other name as its subject, its first mentions where they
            are: only then is a position exchanged.
        next_token: whether the model learns to predict every next token too.
    """

    make: Callable[[Sequence[str], int, Names], CausalModel]
    description: str
    other_order: bool = False
    next_token: bool = False


IOI_CASES = {
    "ioi": IOICase(ioi, "The indirect object of a sentence with two names, one of them mentioned twice."),
    "ioi_next_token": IOICase(
        ioi, "The indirect object, by a model that predicts every next token of the sentence too.", next_token=True
    ),
    "ioi_full": IOICase(
        ioi_full,
        "The indirect object, by previous-token, duplicate-token, induction, S-inhibition and name-mover heads.",
        other_order=True,
    ),
}
"""By name."""
