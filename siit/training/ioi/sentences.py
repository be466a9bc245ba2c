"""Makes sentences as token ids: skeletons (a template in one order), filled with names, places and objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.training.ioi.templates import HELD_OUT_TEMPLATES, SLOTS, TEMPLATES
from siit.training.ioi.tokenizer import TokenizerError, make_tokenizer, vocabulary
from siit.training.ioi.words import NAMES, OBJECTS, PLACES

if TYPE_CHECKING:
    from tokenizers import Tokenizer

A, B, SUBJECT, PLACE, OBJECT = -1, -2, -3, -4, -5
"""What stands in a skeleton where a slot is to be filled."""
ORDERS = (B, A)
"""Who is the subject: the second name (ABBA), or the first one (BABA)."""
_NO_SPACE = (",",)


@dataclass(frozen=True, eq=False)
class Sentences:
    """All sentences of one tokenizer.

    Attributes:
        tokenizer: with BOS and PAD as its last two ids.
        skeletons: those of TEMPLATES in both orders, then those of HELD_OUT_TEMPLATES; BOS first, PAD at the end.
        names, places, objects: ids, ascending.
    """

    tokenizer: Tokenizer
    skeletons: Int[Tensor, "skeletons pos"]
    names: Int[Tensor, " names"]
    places: Int[Tensor, " places"]
    objects: Int[Tensor, " objects"]

    @cached_property
    def tokens(self) -> list[str]:
        """All tokens by id."""
        return vocabulary(self.tokenizer)

    @property
    def n_trained(self) -> int:
        """How many skeletons are not held out; they come first."""
        return len(ORDERS) * len(TEMPLATES)

    @cached_property
    def predictable(self) -> Bool[Tensor, "skeletons pos"]:
        """Where the next token is the same word in every sentence that begins like this one, held-out ones aside.

        Names count as alike, and so do places and objects.
        """
        rows = [[A if token == B else token for token in row] for row in self.skeletons.tolist()]
        following: dict[tuple[int, ...], set[int]] = {}
        for row in rows[: self.n_trained]:
            for end in range(1, len(row)):
                following.setdefault(tuple(row[:end]), set()).add(row[end])
        pad = len(self.tokens) - 1
        known = [[following.get(tuple(row[:end]), set()) for end in range(1, len(row))] for row in rows]
        return torch.tensor([[len(n) == 1 and 0 <= min(n) < pad for n in row] + [False] for row in known])

    def render(
        self,
        skeleton: Int[Tensor, " batch"],
        a: Int[Tensor, " batch"],
        b: Int[Tensor, " batch"],
        place: Int[Tensor, " batch"],
        thing: Int[Tensor, " batch"],
    ) -> Int[Tensor, "batch pos"]:
        """Fills skeletons with the token ids of names, places and objects.

        Args:
            skeleton: indices of skeletons.
            a: the name that is mentioned first.
            b: the name that is mentioned next.
            place: the place.
            thing: the object.
        """
        rows = self.skeletons.to(skeleton.device)[skeleton]
        for slot, ids in ((A, a), (B, b), (PLACE, place), (OBJECT, thing)):
            rows = torch.where(rows == slot, ids.unsqueeze(1), rows)
        return rows


def make_sentences(tokenizer_name: str) -> Sentences:
    """Makes all sentences of a tokenizer.

    Args:
        tokenizer_name: see `siit.training.ioi.tokenizer.make_tokenizer`.

    Raises:
        TokenizerError: a tokenizer that cannot be had, or in which a name is not a single token.
    """
    templates = (*TEMPLATES, *HELD_OUT_TEMPLATES)
    literal = [word for template in templates for word in template.split() if word not in SLOTS]
    tokenizer = make_tokenizer(tokenizer_name, [*literal, *NAMES, *PLACES, *OBJECTS])
    bos, pad = tokenizer.get_vocab_size() - 2, tokenizer.get_vocab_size() - 1
    rows = [_skeleton(tokenizer, template, subject) for template in templates for subject in ORDERS]
    length = 1 + max(map(len, rows))
    skeletons = torch.tensor([[bos, *row, *[pad] * (length - 1 - len(row))] for row in rows])
    names = _single_tokens(tokenizer, NAMES)
    several = [name for name, index in zip(NAMES, names, strict=True) if index is None]
    if several:
        raise TokenizerError(f"case.tokenizer: {tokenizer_name} has no single token for the names {', '.join(several)}")
    return Sentences(
        tokenizer, skeletons, *(_ascending(_single_tokens(tokenizer, w)) for w in (NAMES, PLACES, OBJECTS))
    )


def _ascending(ids: Sequence[int | None]) -> Int[Tensor, " n"]:
    """The ids; a filler that is no single token is left out, since it would move what follows it."""
    return torch.tensor(sorted(index for index in ids if index is not None))


def _skeleton(tokenizer: Tokenizer, template: str, subject: int) -> list[int]:
    slots = dict(zip(SLOTS, (A, B, subject, PLACE, OBJECT), strict=True))
    row: list[int] = []
    for place, word in enumerate(template.split()):
        row += [slots[word]] if word in slots else _encoded(tokenizer, word, place == 0)
    return row


def _encoded(tokenizer: Tokenizer, word: str, is_first: bool = False) -> list[int]:
    text = word if is_first or word in _NO_SPACE else f" {word}"
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _single_tokens(tokenizer: Tokenizer, words: Sequence[str]) -> list[int | None]:
    encoded = [_encoded(tokenizer, word) for word in words]
    return [ids[0] if len(ids) == 1 else None for ids in encoded]
