"""Builds the high-level causal models of Indirect Object Identification, and lists the cases that train on them.

A variable holds the *name* that it is about, not the place of that name. So an interchange between two sentences whose
names have swapped roles leads to one answer. With a source of other names it may leave no name that is not inhibited,
or two: the answer is then undefined.
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
    """Builds the circuit of the InterpBench paper (section 4.3): duplicate-token, S-inhibition and name-mover heads.

    At each position:

    - `duplicate`: the name there, if it stands there or before at least twice.
    - `s_inhibition`: the one name that `duplicate` holds there or before.
    - `name_mover`: the one other name there or before. The answer counts at the last word.

    Args:
        vocab: the tokens.
        max_len: the largest number of tokens.
        names: ids of the tokens that are names.
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
    """Builds a circuit closer to Wang et al. (arXiv 2211.00593, section 3): two signals of the repeated name.

    The *token signal* is `duplicate` and `s_inhibition`, as in `ioi`. The *position signal* is new, at each position:

    - `previous`: the token before it.
    - `induction`, at a name: the place after its earlier mention, found by what stands before that place.
    - `s_position`: the furthest such place there or before.
    - `name_mover`: the name that the two signals inhibit least; of several mentions the first.

    An intervention may turn one signal to the sentence's other name. That name then is the subject: its second mention
    stands at no inhibited place, and a name inhibits less than a place. Where it turns a signal to nothing, or to a
    name that the sentence lacks, the answer is undefined, as in `ioi`.

    Args:
        vocab: the tokens.
        max_len: the largest number of tokens.
        names: ids of the tokens that are names.
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
        other_order: whether a source may be the base with the other name as its subject, its first mentions where they
            are. Only then is a position interchanged.
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
"""Name -> case."""


def ioi_case(name: str) -> IOICase | None:
    """Finds a case by its name, or by one's own for it, such as `ioi-gpt2`; None where there is none."""
    return IOI_CASES.get(name.partition("-")[0])
