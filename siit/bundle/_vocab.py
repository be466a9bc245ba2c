"""The vocabulary: what the ids of a model's inputs and outputs stand for (`vocab.json`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from siit.bundle._errors import wrong
from siit.bundle._json import expect_keys
from siit.bundle._names import VOCAB_FILE
from siit.causal import Scalar


@dataclass(frozen=True)
class Vocab:
    """Input tokens and output classes by id.

    Attributes:
        tokens: the token of every input id, the entries for BOS and PAD included.
        bos_id: the id of the beginning-of-sequence token, the first of every sequence.
        pad_id: the id that fills a sequence up to the context length; None where all lengths are equal.
        classes: the output of every class id (None is an output like any other); None where outputs are numbers.

    Raises:
        BundleError: an entry twice, an id out of range, or a value that JSON has no scalar for.
    """

    tokens: tuple[Scalar, ...]
    bos_id: int
    pad_id: int | None
    classes: tuple[Scalar | None, ...] | None

    def __post_init__(self) -> None:
        _check(self.tokens, self.bos_id, self.pad_id, self.classes)

    @cached_property
    def _ids(self) -> dict[tuple[type, Scalar | None], int]:
        special = (self.bos_id, self.pad_id)
        return {(type(token), token): i for i, token in enumerate(self.tokens) if i not in special}

    def encode(self, tokens: Sequence[Scalar], n_ctx: int) -> Int[Tensor, " n_ctx"]:
        """Encodes a sequence as ids: BOS, the tokens, and PAD up to `n_ctx`.

        Raises:
            ValueError: an unknown token, or a length that does not fit.
        """
        room = n_ctx - 1
        if len(tokens) > room or (self.pad_id is None and len(tokens) < room):
            accepted = f"exactly {room}" if self.pad_id is None else f"at most {room}"
            raise ValueError(f"tokens: found {len(tokens)}, accepted are {accepted}")
        ids = [self.bos_id]
        for token in tokens:
            known = self._ids.get((type(token), token))
            if known is None:
                accepted = ", ".join(repr(value) for _, value in self._ids)
                raise ValueError(f"tokens: found {token!r}, accepted are {accepted}")
            ids.append(known)
        if self.pad_id is not None:
            ids += [self.pad_id] * (n_ctx - len(ids))
        return torch.tensor(ids, dtype=torch.int64)

    def decode(self, ids: Iterable[int]) -> list[Scalar]:
        """Decodes a sequence of ids into tokens, without BOS and PAD.

        Raises:
            ValueError: an id that stands for nothing.
        """
        tokens: list[Scalar] = []
        for number in map(int, ids):
            if not 0 <= number < len(self.tokens):
                raise ValueError(f"ids: found {number}, accepted are 0 to {len(self.tokens) - 1}")
            if number not in (self.bos_id, self.pad_id):
                tokens.append(self.tokens[number])
        return tokens

    def to_json(self) -> dict[str, Any]:
        """Makes the content of `vocab.json`."""
        return {
            "tokens": list(self.tokens),
            "bos_id": self.bos_id,
            "pad_id": self.pad_id,
            "classes": None if self.classes is None else list(self.classes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Vocab:
        """Reads `vocab.json`.

        Raises:
            BundleError: names the field.
        """
        expect_keys(data, ("tokens", "bos_id", "pad_id", "classes"), VOCAB_FILE)
        tokens, classes = data["tokens"], data["classes"]
        if not isinstance(tokens, list):
            raise wrong(VOCAB_FILE, "tokens", tokens, "a list")
        if classes is not None and not isinstance(classes, list):
            raise wrong(VOCAB_FILE, "classes", classes, "a list or null")
        _check(tokens, data["bos_id"], data["pad_id"], classes)
        return cls(tuple(tokens), data["bos_id"], data["pad_id"], None if classes is None else tuple(classes))


def _check(tokens: Sequence[object], bos_id: object, pad_id: object, classes: Sequence[object] | None) -> None:
    _check_entries("tokens", tokens, (str, int, float, bool))
    if classes is not None:
        _check_entries("classes", classes, (str, int, float, bool, type(None)))
    _check_id("bos_id", bos_id, len(tokens))
    if pad_id is not None:
        _check_id("pad_id", pad_id, len(tokens))
        if pad_id == bos_id:
            raise wrong(VOCAB_FILE, "pad_id", pad_id, "another id than bos_id")


def _check_entries(field: str, entries: Sequence[object], types: tuple[type, ...]) -> None:
    if not entries:
        raise wrong(VOCAB_FILE, field, [], "at least one entry")
    seen: set[tuple[type, object]] = set()
    for index, entry in enumerate(entries):
        if type(entry) not in types:
            raise wrong(VOCAB_FILE, f"{field}[{index}]", entry, f"one of {', '.join(kind.__name__ for kind in types)}")
        # 1, 1.0 and true are three tokens.
        if (type(entry), entry) in seen:
            raise wrong(VOCAB_FILE, f"{field}[{index}]", entry, "each entry once")
        seen.add((type(entry), entry))


def _check_id(field: str, value: object, size: int) -> None:
    if type(value) is not int or not 0 <= value < size:
        raise wrong(VOCAB_FILE, field, value, f"an id from 0 to {size - 1}")
