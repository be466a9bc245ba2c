"""Sentences as token ids: skeletons (a template in one order) whose slots names, places and objects fill."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Int
from torch import Tensor

A, B, SUBJECT, PLACE, OBJECT = -1, -2, -3, -4, -5
"""What stands in a skeleton where a slot is to be filled."""
ORDERS = (B, A)
"""Who is the subject: the second name (ABBA), or the first one (BABA)."""


@dataclass(frozen=True, eq=False)
class Sentences:
    """All sentences that can be said with some tokens.

    Attributes:
        tokens: all tokens by id, BOS and PAD last.
        skeletons: each template in both orders, those that are held out last; BOS first, PAD at the end.
        n_trained: how many skeletons are not held out.
        names, places, objects: ids, ascending.
    """

    tokens: tuple[str, ...]
    n_trained: int
    skeletons: Int[Tensor, "skeletons pos"]
    names: Int[Tensor, " names"]
    places: Int[Tensor, " places"]
    objects: Int[Tensor, " objects"]

    @cached_property
    def name_ids(self) -> tuple[int, ...]:
        """Lists the names' ids as numbers."""
        return tuple(self.names.tolist())

    @cached_property
    def is_name(self) -> tuple[bool, ...]:
        """Tells for each id whether it is a name's."""
        names = {*self.name_ids}
        return tuple(index in names for index in range(len(self.tokens)))

    def to(self, device: torch.device) -> Sentences:
        """Copies the tensors to a device."""
        tensors = (self.skeletons, self.names, self.places, self.objects)
        return Sentences(self.tokens, self.n_trained, *(tensor.to(device) for tensor in tensors))

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
        rows = self.skeletons[skeleton]
        for slot, ids in ((A, a), (B, b), (PLACE, place), (OBJECT, thing)):
            rows = torch.where(rows == slot, ids.unsqueeze(1), rows)
        return rows
