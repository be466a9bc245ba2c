"""What a causal model is run on, with which interventions, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit.causal.mechanisms import OUTPUT, Attention, Values
from siit.causal.variables import HighLevelEdge


@dataclass(frozen=True, eq=False)
class Inputs:
    """Holds a batch of inputs: BOS, tokens, then padding.

    Attributes:
        tokens: token ids, int64; ids from the vocabulary's size on (BOS, PAD) are not tokens.
        positions: position ids (0 is BOS's); None stands for each slot's own.
    """

    tokens: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"] | None = None


@dataclass(frozen=True, eq=False)
class Intervention:
    """Holds values that replace a variable's own, in the examples of `mask` (None: in all)."""

    values: Values
    mask: Bool[Tensor, " batch"] | None = None

    def apply(self, own: Values) -> Values:
        """Puts the values in the place of a variable's own, where the mask says so."""
        return self.values if self.mask is None else torch.where(self.mask.unsqueeze(-1), self.values, own)


@dataclass(frozen=True, eq=False)
class Interventions:
    """Names variables that are set, and edges along which one child reads something else than its parent's value."""

    variables: Mapping[str, Intervention] = field(default_factory=dict)
    edges: Mapping[HighLevelEdge, Intervention] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Run:
    """Holds all variables' values in one run, the inputs and `output` among them.

    Attributes:
        values: variable -> int64 ids (-1 undefined) or float32 values (NaN undefined), [batch, pos].
        scored: where the output is defined at a token (not at BOS or padding) of the input.
        attention: variable -> a pattern with which a head could compute it, see `Mechanism.attention`; where asked for.
    """

    values: Mapping[str, Values]
    scored: Bool[Tensor, "batch pos"]
    attention: Mapping[str, Attention] = field(default_factory=dict)

    @property
    def output(self) -> Values:
        """The answer's values."""
        return self.values[OUTPUT]
