"""How often each node and each edge moves a model's answers, counted on its evidence with the certificate's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from siit.bundle import Bundle
from siit.certificate import ReferenceModel
from siit.certificate.held_out import HeldOutPairs, held_out_pairs
from siit.certificate.parameters import check_parameters
from siit.certificate.questions import Patch, Quantity, Question
from siit.certificate.schema import SOURCE_POSITIONS
from siit.certificate.tally import ask
from siit.graph.architecture import EMBEDDINGS, Edge, components, edges

Replacement = Literal["source", "zero"]
REPLACEMENTS: tuple[Replacement, ...] = ("source", "zero")
_SEED = 0
_BATCH = 128


@dataclass(frozen=True)
class Effects:
    """The share of scored answers that change when one part alone is replaced.

    Attributes:
        nodes: embedding, head or MLP -> share, from 0 to 1.
        edges: edge between members of the circuit -> share; on the circuit and off it.
        replacement: by what each part was replaced: its value on the pair's source, or zero.
        pairs: how many pairs were looked at.
        scored: how many scored answers they have.
        permuted: whether position embeddings took those of permuted positions; otherwise they are the same in every
            input, and replacing them by the source's changes nothing.
    """

    nodes: Mapping[str, float]
    edges: Mapping[Edge, float]
    replacement: Replacement
    pairs: int
    scored: int
    permuted: bool

    @property
    def how(self) -> str:
        """How they were measured, in a few words."""
        by = {"source": "its value on another input", "zero": "zero"}[self.replacement]
        return f"each part alone replaced by {by}; {self.scored:,} scored answers of {self.pairs:,} pairs"


def measure_effects(
    bundle: Bundle,
    *,
    pairs: int = 256,
    replacement: Replacement = "source",
    device: torch.device | str = "cpu",
) -> Effects:
    """Replaces every node and every edge between circuit members, one at a time, and counts the answers that change.

    Args:
        bundle: a model with its weights and evidence.
        pairs: how many of the evidence's pairs are used at most; the same ones each time.
        replacement: by the activation on the pair's source (positions: permuted), or by zero.
        device: where to compute.

    Raises:
        ValueError: weights or evidence that are not the architecture's, or pairs without a scored answer.
    """
    if pairs < 1:
        raise ValueError(f"pairs: found {pairs}, accepted is at least 1")
    if replacement not in REPLACEMENTS:
        raise ValueError(f"replace: found {replacement!r}, accepted is {' or '.join(REPLACEMENTS)}")
    check_parameters(bundle.config, bundle.parameters)
    checked = held_out_pairs(bundle.circuit, bundle.evidence, bundle.answers)
    evidence, permuted = _with_positions(_some(checked, pairs))
    scored = int(evidence.scored(None).sum())
    if not scored:
        raise ValueError(f"pairs: found no scored answer in {evidence.pairs} pairs, accepted is more pairs")
    model = ReferenceModel(bundle.config, {name: tensor.to(device) for name, tensor in bundle.parameters.items()})
    kind: Literal["resample", "zero"] = "zero" if replacement == "zero" else "resample"
    nodes = [*EMBEDDINGS, *components(bundle.config)]
    between = list(edges(bundle.config, bundle.circuit.members))
    questions = [Question(Patch(nodes=(node,), kind=kind), (Quantity("node", node, "moves"),)) for node in nodes]
    questions += [
        Question(Patch(edges=(edge,), kind=kind), (Quantity("edge", str(edge), "moves"),)) for edge in between
    ]
    # No question takes means.
    counts = ask(model, evidence, {}, questions, _BATCH)
    return Effects(
        nodes={node: counts["node"][node].value for node in nodes},
        edges={edge: counts["edge"][str(edge)].value for edge in between},
        replacement=replacement,
        pairs=evidence.pairs,
        scored=scored,
        permuted=permuted,
    )


def _some(evidence: HeldOutPairs, pairs: int) -> HeldOutPairs:
    """At most so many pairs, in the evidence's order; drawn, since neighbours may share their base."""
    if evidence.pairs <= pairs:
        return evidence
    chosen = torch.randperm(evidence.pairs, generator=torch.Generator().manual_seed(_SEED))[:pairs].sort().values
    return HeldOutPairs({name: tensor[chosen] for name, tensor in evidence.tensors.items()}, evidence.answers)


def _with_positions(evidence: HeldOutPairs) -> tuple[HeldOutPairs, bool]:
    """The evidence with permuted positions for `pos_embed`: those of an interchange where no other are there."""
    found = [name for name in evidence.tensors if name.endswith(SOURCE_POSITIONS)]
    if not found:
        return evidence, False
    first = min(found, key=lambda name: name != SOURCE_POSITIONS)
    return HeldOutPairs({**evidence.tensors, SOURCE_POSITIONS: evidence.tensors[first]}, evidence.answers), True
