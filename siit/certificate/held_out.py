"""Held-out pairs as the certificate reads them: with the high-level model's answers under every interchange."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from siit.certificate.answers import Answers
from siit.certificate.schema import BASE, FIELDS, PROBE, SOURCE, Schema, listed_under, of_probe, scored_masks, under
from siit.graph.circuit import Circuit


@dataclass(frozen=True, eq=False)
class HeldOutPairs:
    """Views N pairs of T positions, by the names of a bundle's `evaluation.safetensors` (see `Schema`).

    Attributes:
        tensors: `base_tokens`, `base_target`, `do/<interchange>/target` and so on, [N, T] each.
        answers: how targets are compared.
    """

    tensors: Mapping[str, Shaped[Tensor, "pairs pos"]]
    answers: Answers

    @property
    def pairs(self) -> int:
        """How many there are."""
        return len(self.base)

    @property
    def base(self) -> Int[Tensor, "pairs pos"]:
        """Token ids of the bases."""
        return self.tensors[f"{BASE}tokens"]

    @property
    def source(self) -> Int[Tensor, "pairs pos"]:
        """Token ids of the sources."""
        return self.tensors[f"{SOURCE}tokens"]

    def target(self, interchange: str | None) -> Shaped[Tensor, "pairs pos"]:
        """Gives the high-level model's answer on the base, under an interchange if one is given."""
        return self.tensors[under(interchange, "target")]

    def scored(self, interchange: str | None) -> Bool[Tensor, "pairs pos"]:
        """Tells where that answer is defined and counted."""
        return self.tensors[under(interchange, "scored")]

    def changed(self, interchange: str) -> Bool[Tensor, "pairs pos"]:
        """Tells where an interchange changes the high-level model's answer, both answers being scored."""
        both = self.scored(None) & self.scored(interchange)
        return both & ~self.answers.same(self.target(interchange), self.target(None))

    def counts(self, interchange: str) -> InterchangeCounts:
        """Counts what the evidence holds on one interchange."""
        base, own, changed = self.scored(None), self.scored(interchange), self.changed(interchange)
        return InterchangeCounts(
            scored=int(own.sum()),
            undefined_share=int((base & ~own).sum()) / max(int(base.sum()), 1),
            changed_pairs=int(changed.any(1).sum()),
            changed_positions=int(changed.sum()),
        )

    def first(self, pairs: int) -> HeldOutPairs:
        """Takes the first pairs alone."""
        return HeldOutPairs({name: tensor[:pairs] for name, tensor in self.tensors.items()}, self.answers)

    def enough(self, min_scored: int) -> int:
        """Finds how many of the first pairs have bases with so many scored positions; all if none are asked for."""
        held = self.scored(None).sum(1).cumsum(0)
        return min(int((held < min_scored).sum()) + 1, self.pairs) if min_scored else self.pairs

    @property
    def probes(self) -> list[str]:
        """Names of the inputs of another kind."""
        return listed_under(PROBE, self.tensors)

    def probe(self, name: str) -> HeldOutPairs:
        """Takes inputs of another kind as bases, each with the one before it as its source."""
        bases = {under(None, field): self.tensors[of_probe(name, field)] for field in FIELDS}
        sources = {f"{SOURCE}tokens": bases[under(None, "tokens")].roll(1, 0)}
        return HeldOutPairs({**bases, **sources}, self.answers)

    def batches(self, size: int, device: torch.device) -> Iterator[HeldOutPairs]:
        """Yields consecutive parts of at most `size` pairs, on the device."""
        for start in range(0, self.pairs, size):
            part = {name: tensor[start : start + size].to(device) for name, tensor in self.tensors.items()}
            yield HeldOutPairs(part, self.answers)

    def shortest_first(self) -> HeldOutPairs:
        """Sorts the pairs by how many positions they need."""
        return self.at(self.by_need)

    @property
    def by_need(self) -> Int[Tensor, " pairs"]:
        """The order in which pairs that need few positions come first."""
        return self._needed.argsort(stable=True)

    def at(self, order: Int[Tensor, " chosen"]) -> HeldOutPairs:
        """Takes the pairs at these places."""
        return HeldOutPairs({name: tensor[order] for name, tensor in self.tensors.items()}, self.answers)

    def trimmed(self) -> HeldOutPairs:
        """Drops the last positions, where none of them is scored: in a causal model they change nothing before."""
        needed = int(self._needed.max())
        return HeldOutPairs({name: tensor[:, :needed] for name, tensor in self.tensors.items()}, self.answers)

    @property
    def _needed(self) -> Int[Tensor, " pairs"]:
        """Up to which position of a base something is scored, at least 1."""
        scored = torch.stack(scored_masks(self.tensors, bases=True)).any(0)
        return (scored * torch.arange(1, scored.shape[1] + 1, device=scored.device)).amax(1).clamp(min=1)


@dataclass(frozen=True)
class InterchangeCounts:
    """Counts what the evidence holds on one interchange.

    Attributes:
        scored: positions at which the high-level model's answer under the interchange is scored.
        undefined_share: of the base's scored positions, the share at which it is not.
        changed_pairs: pairs in which the interchange changes the answer somewhere.
        changed_positions: positions at which it does.
    """

    scored: int
    undefined_share: float
    changed_pairs: int
    changed_positions: int


def held_out_pairs(circuit: Circuit, tensors: Mapping[str, Shaped[Tensor, "..."]], answers: Answers) -> HeldOutPairs:
    """Checks evidence by its schema, and keeps what the certificate needs.

    Args:
        circuit: the labels, with the architecture.
        tensors: by the names of a bundle's `evaluation.safetensors`, [pairs, n_ctx] each.
        answers: how targets are compared.

    Raises:
        ValueError: names the tensor, what was found and what is accepted.
    """
    schema = Schema(circuit, answers)
    needed = schema.select(tensors)
    schema.check_values(needed)
    return HeldOutPairs(needed, answers)
