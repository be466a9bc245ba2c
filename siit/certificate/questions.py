"""Lists what a certificate asks of a model: which patches, and what is counted under each."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from siit.certificate.fields import Kind
from siit.graph.architecture import Edge
from siit.graph.circuit import Circuit


@dataclass(frozen=True)
class Patch:
    """Names nodes and edges that are replaced, and by what.

    Attributes:
        nodes: replaced for all their readers.
        edges: replaced in the one sum that their receiver's slot reads.
        kind: `resample`: by what they are in the source run; `mean`: by their mean over all source rows at each
            position; `zero`: by 0.
        interchange: the unit or high-level edge that a `resample` interchanges. The source run then uses its position
            ids, if the evidence has any. None off the circuit: a resampled `pos_embed` takes `source_positions`, and
            all other senders take the source run as it is.
    """

    nodes: tuple[str, ...] = ()
    edges: tuple[Edge, ...] = ()
    kind: Kind = "resample"
    interchange: str | None = None


@dataclass(frozen=True)
class Quantity:
    """Names one quantity that is counted under a patch.

    Attributes:
        field: the certificate's field, or a part of it.
        name: the unit, edge, node or subset in question.
        by: `right`: share of scored positions with the high-level model's answer. `moves`: share at which the answer
            is another than without the patch. `logits`: mean absolute change of the (centred) logits.
        interchange: `right` compares with the high-level model's answer under this interchange. `moves` and `logits`
            count where it changes that answer. None: no interchange, all scored positions of the base.
    """

    field: str
    name: str
    by: Literal["right", "moves", "logits"] = "right"
    interchange: str | None = None


@dataclass(frozen=True)
class Question:
    """Asks for one patched run, and for all that is counted on it."""

    patch: Patch
    quantities: tuple[Quantity, ...]


def first_questions(circuit: Circuit) -> list[Question]:
    """Asks for accuracy, the joint ablations and the interchanges: few runs that tell how far a model is.

    Args:
        circuit: the labels.
    """
    off_nodes, off_edges = tuple(circuit.off_nodes), tuple(circuit.off_edges)
    questions = [Question(Patch(), (Quantity("accuracy", "all"),))]
    if off_nodes or off_edges:
        questions += [
            Question(Patch(off_nodes, off_edges), (Quantity("strict_joint", "all"),)),
            Question(Patch(off_nodes, off_edges, "mean"), (Quantity("joint_mean", "all"),)),
            Question(Patch(off_nodes, off_edges, "zero"), (Quantity("joint_zero", "all"),)),
        ]
    for field, name, patch in _interchanges(circuit):
        effect = "effect.units" if field == "iia" else "effect.edges"
        quantities = (Quantity(field, name, "right", name), Quantity(effect, name, "moves", name))
        questions.append(Question(patch, quantities))
    return questions


def effect_questions(circuit: Circuit, constant: frozenset[str]) -> list[Question]:
    """Asks for the effects that no interchange shows, and for those of the nodes of a unit, each alone.

    Args:
        circuit: the labels.
        constant: units and high-level edges whose interchange never changes the high-level model's answer.
    """
    effects: list[Question] = []
    for field, name, patch in _interchanges(circuit):
        if name in constant:
            effect = "effect.units" if field == "iia" else "effect.edges"
            zero = Patch(patch.nodes, patch.edges, "zero")
            effects.append(Question(zero, (Quantity(effect, name, "moves"),)))
    for unit, nodes in circuit.alignment.items():
        for node in nodes if len(nodes) > 1 else ():
            if unit in constant:
                patch, interchange = Patch(nodes=(node,), kind="zero"), None
            else:
                patch, interchange = Patch(nodes=(node,), interchange=unit), unit
            effects.append(Question(patch, (Quantity("effect.nodes", node, "logits", interchange),)))
    return effects


def draw_subsets(circuit: Circuit, count: int, seed: int = 0) -> dict[str, str]:
    """Draws random subsets of the off-circuit parts, the same for the same circuit; each part is in half of them.

    Args:
        circuit: the labels.
        count: how many.
        seed: of the draw.

    Returns:
        Name -> a string of 0 and 1, one for each of `circuit.off_nodes` and then of `circuit.off_edges`. None is empty
        or drawn twice; there are fewer than `count` only where there are not as many.
    """
    size = len(circuit.off_nodes) + len(circuit.off_edges)
    available = (1 << size) - 1
    if available <= count:
        numbers = list(range(1, available + 1))
    else:
        generator = random.Random(seed)
        drawn: dict[int, None] = {}
        while len(drawn) < count:
            drawn[generator.randint(1, available)] = None
        numbers = list(drawn)
    return {f"subset {index}": f"{number:0{size}b}" for index, number in enumerate(numbers)}


def _interchanges(circuit: Circuit) -> list[tuple[str, str, Patch]]:
    """Lists field, name and patch of every interchange."""
    units = [("iia", unit, Patch(nodes=nodes, interchange=unit)) for unit, nodes in circuit.alignment.items()]
    edges = [
        ("edge_iia", name, Patch(edges=tuple(carriers), interchange=name))
        for name, carriers in circuit.edges_by_carried.items()
    ]
    return [*units, *edges]
