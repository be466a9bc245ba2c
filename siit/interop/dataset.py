"""Held-out pairs as a PyTorch dataset, for attribution methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jaxtyping import Bool, Int, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from siit.certificate.schema import CONTRAST, listed_under

SOURCE = "source"


class Pair(NamedTuple):
    """One example, or a batch of them as a `DataLoader` collates it: then each field begins with a batch dimension.

    Attributes:
        base: ids of the clean input.
        source: ids of the corrupted input.
        target: the high-level model's answer on the base: class ids, or numbers.
        source_target: its answer on the source.
        scored: where the answer on the base is defined and counted; where it is False, `target` means nothing.
        source_scored: the same for the source.
    """

    base: Int[Tensor, "*batch pos"]
    source: Int[Tensor, "*batch pos"]
    target: Shaped[Tensor, "*batch pos"]
    source_target: Shaped[Tensor, "*batch pos"]
    scored: Bool[Tensor, "*batch pos"]
    source_scored: Bool[Tensor, "*batch pos"]


class PairDataset(Dataset[Pair]):
    """Base, corrupted input and answers of each held-out pair.

    Args:
        evidence: by the names of `evaluation.safetensors`.
        corruption: `source`, another input drawn independently, or a kind of contrast that the evidence has
            (`contrast/<kind>/tokens`), which differs from the base in what matters only.

    Raises:
        ValueError: no evidence, or no such corruption.
    """

    def __init__(self, evidence: Mapping[str, Shaped[Tensor, "pairs pos"]], corruption: str = SOURCE) -> None:
        if "base_tokens" not in evidence:
            raise ValueError("evidence: found no base_tokens, accepted is the evidence of a model loaded with it")
        kinds = listed_under(CONTRAST, evidence)
        if corruption not in (SOURCE, *kinds):
            raise ValueError(f"corruption: found {corruption!r}, accepted: {', '.join((SOURCE, *kinds))}")
        prefix = f"{SOURCE}_" if corruption == SOURCE else f"{CONTRAST}{corruption}/"
        self.pairs = Pair(
            base=evidence["base_tokens"],
            source=evidence[f"{prefix}tokens"],
            target=evidence["base_target"],
            source_target=evidence[f"{prefix}target"],
            scored=evidence["base_scored"],
            source_scored=evidence[f"{prefix}scored"],
        )

    def __len__(self) -> int:
        return len(self.pairs.base)

    def __getitem__(self, index: int) -> Pair:
        return Pair(*(field[index] for field in self.pairs))
