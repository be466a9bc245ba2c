"""Measures how well scores of edges or nodes agree with the labels of a circuit."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from siit._text import listed, shortened
from siit.graph.architecture import EMBEDDINGS, LOGITS, Edge, ModelConfig, Slot, components, edges
from siit.graph.circuit import Circuit
from siit.graph.hooks import ARROW, edges_by_hooks
from siit.scoring.grades import GRADES, Grade
from siit.scoring.grades import grades as graded
from siit.scoring.labelled import Labelled
from siit.scoring.ranking import Chance, Ranking, chance, rank
from siit.scoring.structure import edge_probabilities, node_probabilities

INPUT = "input"
"""Both embeddings as one sender, as EAP-IG and MIB have them."""


@dataclass(frozen=True, eq=False)
class Score(Ranking):
    """How well a method's scores find the circuit, beside what needs no method.

    Attributes:
        random: what a random order reaches.
        structure: what the structure null reaches: architecture and rule of placement alone (`siit.scoring.structure`).
        by_slot: slot -> the ranking of the edges into it alone; None stands for edges into MLPs and logits. A slot
            without edges on or off the circuit is left out, and all are where slots are not told apart.
        structure_by_slot: the structure null's rankings of the same edges.
        unlabelled: how many edges of the model were not ranked. They have another grade than was asked for. Or the
            model's certificate does not measure them alone: those into and out of off-circuit nodes. 0 where it does,
            and at node level, where all nodes have labels.
    """

    random: Chance
    structure: Ranking
    by_slot: Mapping[Slot | None, Ranking]
    structure_by_slot: Mapping[Slot | None, Ranking]
    unlabelled: int


def score(
    edge_scores: Mapping[Any, Any],
    circuit: Circuit | Labelled,
    *,
    level: str = "edge",
    slots: bool | None = None,
    embeddings: bool = True,
    grades: Collection[Grade] | None = None,
) -> Score:
    """Measures how well scores tell a circuit's edges, or nodes, from the model's others; higher means on the circuit.

    Where a score's sign says in which direction an edge acts, give absolute values. Ranked are the edges that have a
    label: all of a model whose certificate measures every edge; else those between members of the circuit.

    Args:
        edge_scores: a number for every edge that has a label, by `Edge` or by name; others are not looked at:

            - `m0->a1.h2<v>`, or `m0->a1.h2` where slots are not told apart;
            - `input->a1.h2<v>`, which makes both embeddings one sender;
            - `blocks.0.hook_mlp_out -> blocks.1.hook_v_input[2]`;
            - at node level also a number for every node, by its name: `a1.h2`.
        circuit: a loaded model, for its circuit and certificate. Of a circuit alone, edges into and out of off-circuit
            nodes have no label.
        level: `edge` ranks edges, `node` all heads and MLPs. A node without a score of its own has that of its best
            edge.
        slots: whether edges from one node into q, k and v of one head are three edges (the default) or one. That one
            has the best of their scores, and is on the circuit if one of them is. Nodes have no slots.
        embeddings: whether edges from the embeddings are ranked. At node level: whether the embeddings are ranked, and
            whether their edges count for the nodes that read them.
        grades: of a loaded model, which edges are ranked, by the grades of their labels (`siit.scoring.grades`). So
            those that no resampling shows can be left out.

    Raises:
        ValueError: names the scores that are missing, unknown, given twice or no number; or says that a circuit has
            nothing to tell apart.
    """
    if level not in ("edge", "node"):
        raise ValueError(f"level: found {level!r}, accepted: 'edge', 'node'")
    if level == "node" and slots:
        raise ValueError("slots: found True at node level, accepted is False: a node stands for all its slots")
    labelled = _labelled(circuit, grades, level)
    circuit = circuit if isinstance(circuit, Circuit) else circuit.circuit
    config = circuit.config
    values = plain_scores(edge_scores, config)
    merged = any(name.partition("->")[0] == INPUT for name in values)
    if level == "edge":
        by_slot = slots is not False
        items = _edge_items(circuit, labelled, merged, by_slot, embeddings)
        _check_known(values, _edge_names(config, merged, pairs=not by_slot), "edges")
    else:
        by_slot = False
        nodes = _node_names(config, merged)
        own_scores = not nodes.isdisjoint(values)
        items = _node_items(circuit, merged, embeddings, by_edges=not own_scores)
        _check_known(values, nodes if own_scores else _edge_names(config, merged, pairs=False), "nodes or edges")
    labels = np.array([item.on_circuit for item in items])
    if labels.all() or not labels.any():
        what = "all" if labels.all() else "none"
        raise ValueError(f"circuit: found {what} of {len(items)} {level}s on it, accepted are some, but not all")
    scores = _scores(items, values)
    probabilities = np.array([item.probability for item in items])
    slots_of = [item.slot for item in items]
    ranking = rank(labels, scores)
    return Score(
        **vars(ranking),
        random=chance(ranking.positives, ranking.negatives),
        structure=rank(labels, probabilities),
        by_slot=_by_slot(slots_of, labels, scores) if by_slot else {},
        structure_by_slot=_by_slot(slots_of, labels, probabilities) if by_slot else {},
        unlabelled=sum(edge not in labelled for edge in _ranked_edges(config, embeddings)) if level == "edge" else 0,
    )


@dataclass(frozen=True)
class _Item:
    """An edge or a node that is ranked.

    Attributes:
        name: under which its own score may be given.
        parts: edges whose best score it has otherwise; empty if it must have its own.
        on_circuit: its label.
        probability: what the structure alone tells, see `siit.scoring.structure`.
        slot: of an edge, where slots are told apart.
    """

    name: str
    parts: tuple[str, ...]
    on_circuit: bool
    probability: float
    slot: Slot | None = None


def _edge_items(
    circuit: Circuit, labelled: Collection[Edge], merged: bool, by_slot: bool, embeddings: bool
) -> list[_Item]:
    probabilities = edge_probabilities(circuit)
    groups: dict[str, list[Edge]] = {}
    for edge in _ranked_edges(circuit.config, embeddings):
        if edge in labelled:
            groups.setdefault(_edge_name(edge, merged, by_slot), []).append(edge)
    return [
        _Item(
            name=name,
            parts=() if by_slot else tuple(_edge_name(edge, merged) for edge in group),
            on_circuit=any(edge in circuit.carries for edge in group),
            probability=max(probabilities[edge] for edge in group),
            slot=group[0].slot,
        )
        for name, group in groups.items()
    ]


def _node_items(circuit: Circuit, merged: bool, embeddings: bool, *, by_edges: bool) -> list[_Item]:
    probabilities = node_probabilities(circuit)
    on_circuit = {*circuit.unit_of, *(edge.sender for edge in circuit.carries)}
    groups: dict[str, list[str]] = {}
    for node in (*(EMBEDDINGS if embeddings else ()), *components(circuit.config)):
        groups.setdefault(_node_name(node, merged), []).append(node)
    parts: dict[str, list[str]] = {name: [] for name in groups}
    for edge in _ranked_edges(circuit.config, embeddings) if by_edges else ():
        for node in {_node_name(edge.sender, merged), edge.receiver} & parts.keys():
            parts[node].append(_edge_name(edge, merged))
    return [
        _Item(
            name=name,
            parts=tuple(parts[name]),
            on_circuit=any(node in on_circuit for node in group),
            probability=max(probabilities[node] for node in group),
        )
        for name, group in groups.items()
    ]


def _labelled(model: Circuit | Labelled, grades: Collection[Grade] | None, level: str) -> set[Edge]:
    """Finds the edges that are ranked: all that have a label, or those of some grades."""
    if grades is not None:
        unknown = [grade for grade in grades if grade not in GRADES]
        if unknown or level != "edge" or isinstance(model, Circuit):
            accepted = f"{', '.join(GRADES)}, at edge level and of a loaded model"
            raise ValueError(f"grades: found {unknown or list(grades)}, accepted are some of {accepted}")
        return {edge for edge, grade in graded(model).items() if grade in grades}
    circuit, every = (model, False) if isinstance(model, Circuit) else (model.circuit, _measures_every(model))
    return {*circuit.carries, *(circuit.off_edges if every else circuit.off_edges_of_members)}


def _measures_every(model: Labelled) -> bool:
    """Whether the model's certificate measures every edge alone."""
    # Only here: --help need not wait for torch.
    from siit.certificate import Certificate

    try:
        return Certificate.from_json(model.certificate).measures_every_edge
    except ValueError:
        return False


def _ranked_edges(config: ModelConfig, embeddings: bool) -> Iterable[Edge]:
    return (edge for edge in edges(config) if embeddings or edge.sender not in EMBEDDINGS)


def _node_name(node: str, merged: bool) -> str:
    return INPUT if merged and node in EMBEDDINGS else node


def _edge_name(edge: Edge, merged: bool, with_slot: bool = True) -> str:
    return str(Edge(_node_name(edge.sender, merged), edge.receiver, edge.slot if with_slot else None))


def _edge_names(config: ModelConfig, merged: bool, *, pairs: bool) -> set[str]:
    """Lists the names under which edges may be scored; not all of these need be ranked."""
    kinds = (True, False) if pairs else (True,)
    return {_edge_name(edge, merged, with_slot) for edge in edges(config) for with_slot in kinds}


def _node_names(config: ModelConfig, merged: bool) -> set[str]:
    return {_node_name(node, merged) for node in (*EMBEDDINGS, *components(config), LOGITS)}


def plain_scores(scores: Mapping[Any, Any], config: ModelConfig) -> dict[str, float]:
    """Reads scores as numbers, by the names of this package; hook names are translated.

    Args:
        scores: by `Edge`, by name or by hook names, see `score`.
        config: the architecture.

    Raises:
        ValueError: a name that is given twice, or no number; or no mapping.
    """
    if not isinstance(scores, Mapping):
        raise ValueError(f"scores: found {shortened(scores)}, accepted is a number for each edge, by its name")
    hooks = edges_by_hooks(config) if any(isinstance(key, str) and ARROW in key for key in scores) else {}
    values: dict[str, float] = {}
    for key, value in scores.items():
        name = str(hooks.get(key, key))
        if name in values:
            raise ValueError(f"scores: found {name} twice, accepted is one score each")
        try:
            values[name] = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"scores: {name}: found {shortened(value)}, accepted is a number") from error
        if math.isnan(values[name]):
            raise ValueError(f"scores: {name}: found NaN, accepted is a number")
    return values


def _check_known(values: Mapping[str, float], known: Collection[str], what: str) -> None:
    unknown = [name for name in values if name not in known]
    if unknown:
        accepted = listed(sorted(known))
        raise ValueError(f"scores: found {listed(unknown)}, accepted are {what} of the model: {accepted}")


def _scores(items: list[_Item], values: Mapping[str, float]) -> np.ndarray:
    missing: list[str] = []
    scores = []
    for item in items:
        names = (item.name,) if item.name in values or not item.parts else item.parts
        doubled = [part for part in item.parts if part not in names and part in values]
        if doubled:
            raise ValueError(f"scores: found {item.name} beside {listed(doubled)}, accepted is one or the other")
        missing += [name for name in names if name not in values]
        scores.append(max(values.get(name, math.nan) for name in names))
    if missing:
        missing = list(dict.fromkeys(missing))
        raise ValueError(f"scores: found none for {listed(missing)}, accepted is a score for each that has a label")
    return np.array(scores)


def _by_slot(slots: list[Slot | None], labels: np.ndarray, scores: np.ndarray) -> dict[Slot | None, Ranking]:
    rankings: dict[Slot | None, Ranking] = {}
    for slot in dict.fromkeys(slots):
        chosen = np.array([other == slot for other in slots])
        if labels[chosen].any() and not labels[chosen].all():
            rankings[slot] = rank(labels[chosen], scores[chosen])
    return rankings
