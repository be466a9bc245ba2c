"""Makes the sentences of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from siit.tasks.sentences import OBJECT, ORDERS, PLACE, A, B, Sentences
from siit.training.ioi.templates import HELD_OUT_TEMPLATES, SLOTS, TEMPLATES
from siit.training.ioi.tokenizer import TokenizerError, make_tokenizer, vocabulary
from siit.training.ioi.words import NAMES, OBJECTS, PLACES

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NO_SPACE = (",",)
_ALL = (*TEMPLATES, *HELD_OUT_TEMPLATES)


def make_ioi_tokenizer(name: str) -> Tokenizer:
    """Makes the tokenizer of a name, with all words that sentences need.

    Args:
        name: see `siit.training.ioi.tokenizer.make_tokenizer`.

    Raises:
        TokenizerError: a tokenizer that cannot be had.
    """
    literal = [word for template in _ALL for word in template.split() if word not in SLOTS]
    return make_tokenizer(name, [*literal, *NAMES, *PLACES, *OBJECTS])


def make_sentences(tokenizer: Tokenizer) -> Sentences:
    """Makes the sentences of a tokenizer whose last two ids are BOS and PAD.

    Raises:
        TokenizerError: one in which a name is not a single token.
    """
    bos, pad = tokenizer.get_vocab_size() - 2, tokenizer.get_vocab_size() - 1
    rows = [_skeleton(tokenizer, template, subject) for template in _ALL for subject in ORDERS]
    length = 1 + max(map(len, rows))
    skeletons = torch.tensor([[bos, *row, *[pad] * (length - 1 - len(row))] for row in rows])
    names = _single_tokens(tokenizer, NAMES)
    several = [name for name, index in zip(NAMES, names, strict=True) if index is None]
    if several:
        raise TokenizerError(f"case.tokenizer: found no single token for the names {', '.join(several)}")
    names_places_objects = (_ascending(_single_tokens(tokenizer, words)) for words in (NAMES, PLACES, OBJECTS))
    return Sentences(tuple(vocabulary(tokenizer)), len(ORDERS) * len(TEMPLATES), skeletons, *names_places_objects)


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
