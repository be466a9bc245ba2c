"""Hidden variables of a causal model, and the edges between them."""

from __future__ import annotations

from dataclasses import dataclass

from siit.causal.mechanisms import Kind, Mechanism, ValueSet, kind_of


@dataclass(frozen=True)
class Variable:
    """Names a hidden variable and says how it is computed.

    Attributes:
        name: unique in the model.
        values: what its ids stand for, None where it is numerical. Only the answer's may hold None.
        mechanism: computes it from its parents.
        description: its role, in the words of a researcher.
    """

    name: str
    values: ValueSet
    mechanism: Mechanism
    description: str = ""

    @property
    def categorical(self) -> bool:
        """Whether its values are ids."""
        return self.values is not None

    @property
    def kind(self) -> Kind:
        """Its kind, by name."""
        return kind_of(self.values)

    @property
    def is_attention(self) -> bool:
        """Whether it moves information between positions, so that attention heads must compute it."""
        return self.mechanism.moves_information


@dataclass(frozen=True, order=True)
class HighLevelEdge:
    """Names a parent as one child reads it in one slot; `slot` is None where the child is not an attention variable."""

    parent: str
    child: str
    slot: str | None = None

    def __str__(self) -> str:
        return f"{self.parent}->{self.child}" + (f"<{self.slot}>" if self.slot else "")
