"""Finds idle members: nodes and edges on the circuit that move the output by no fair share of what their group does.

An interchange of a group whose true members do all the work says nothing of an idle head that was added to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from siit.certificate import Answers, Certificate, ReferenceModel
from siit.certificate.held_out import HeldOutPairs, held_out_pairs
from siit.certificate.questions import Patch, Quantity, Question
from siit.certificate.tally import ask, source_means
from siit.graph.architecture import Edge
from siit.graph.circuit import Circuit

FAIR_SHARE = 0.02
"""Least change of the logits by one member alone, as a share of the change by its whole group."""
PAIRS = 1024
"""So many of the first pairs, if each interchange changes an answer in enough of them; else all."""
CHANGED = 100
"""Pairs in which each interchange is to change an answer, where it does in so many at all."""
_BATCH = 128
_JOINT = "together"


@dataclass(frozen=True)
class Idle:
    """A member of a circuit that hardly moves the output, beside the others that carry the same.

    Attributes:
        edges: the circuit's edges that would carry what it says: it itself, or all out of it.
        share: how far it moves the output, as a share of what it is held against.
        finding: what was found, in words.
    """

    edges: tuple[Edge, ...]
    share: float
    finding: str


def idle_members(
    circuit: Circuit, parameters: Mapping[str, Tensor], evidence: Mapping[str, Tensor], answers: Answers
) -> Iterator[Idle]:
    """Lists nodes and edges on the circuit that hardly move the output, beside the others that carry the same.

    A member must move it by its interchange, or replaced by its mean. What heads tell an MLP of their unit may be the
    same in both inputs of each interchange: *that* a name was mentioned. An idle member moves nothing by its mean
    either, whatever constant it writes. Edges between nodes of one unit have no interchange. The mean of one is held
    against that of all into its receiver, and theirs against that of the unit.

    Args:
        circuit: labels that follow from the causal model.
        parameters: the weights, on the device where the model runs.
        evidence: pairs with the causal model's answers.
        answers: how outputs are compared.
    """
    groups, within = {**_nodes(circuit), **_edges(circuit)}, _edges_within(circuit)
    checked = _first_pairs(held_out_pairs(circuit, evidence, answers), [name for _, name in groups])
    questions = []
    for group, members in groups.items():
        for name, (nodes, edges) in members.items():
            patch, interchange = _patch(checked, group[1], nodes, edges)
            averaged = Patch(nodes=nodes, edges=edges, kind="mean")
            questions.append(Question(patch, (Quantity("/".join(group), name, "logits", interchange),)))
            questions.append(Question(averaged, (Quantity("/".join((*group, "mean")), name, "logits"),)))
    for (_, receiver), between in within.items():
        for name, edges in {_JOINT: between, **{str(edge): (edge,) for edge in between}}.items():
            averaged = Patch(edges=edges, kind="mean")
            questions.append(Question(averaged, (Quantity(f"within/{receiver}", name, "logits"),)))
    if not questions:
        return
    model = ReferenceModel(circuit.config, parameters)
    counts = ask(model, checked, source_means(model, checked, _BATCH), questions, _BATCH)
    for group, members in groups.items():
        by_interchange, by_mean = counts["/".join(group)], counts["/".join((*group, "mean"))]
        joint = by_interchange[_JOINT].value
        most = max(joint, by_mean[_JOINT].value)
        for name, (nodes, edges) in members.items():
            value, mean = by_interchange[name].value, by_mean[name].value
            share = max(_share(value, joint), _share(mean, most))
            if name != _JOINT and not share > FAIR_SHARE:
                found = f"{value:.2g} by it alone, and of {mean:.2g} by its mean"
                bar = f"{FAIR_SHARE:.0%} of that of {group[1]} as a whole, {joint:.2g} or {most:.2g}"
                out = edges or tuple(edge for edge in circuit.carries if edge.sender in nodes)
                yield Idle(out, share, _finding(f"{group[0]} {name}", found, bar))
    for (unit, receiver), between in within.items():
        most, joint = counts[f"node/{unit}/mean"][_JOINT].value, counts[f"within/{receiver}"][_JOINT].value
        for edge in between:
            mean = counts[f"within/{receiver}"][str(edge)].value
            share = min(_share(mean, joint), _share(joint, most))
            if not share > FAIR_SHARE:
                found = f"{mean:.2g} by its mean, where all within {unit} into {receiver} make one of {joint:.2g}"
                bar = f"{FAIR_SHARE:.0%} of these, and these of {unit} as a whole, {most:.2g}"
                yield Idle((edge,), share, _finding(f"edge {edge}", found, bar))


def _first_pairs(evidence: HeldOutPairs, interchanges: list[str]) -> HeldOutPairs:
    """The first pairs alone, where these show what the interchanges do; a mean change needs no more."""
    first = evidence.first(PAIRS)
    changed = [(first.counts(name).changed_pairs, evidence.counts(name).changed_pairs) for name in interchanges]
    return first if all(few >= min(CHANGED, every) for few, every in changed) else evidence


def _finding(member: str, found: str, bar: str) -> str:
    return f"{member}: found a change of the logits of {found}; accepted is more than {bar}"


def _share(part: float, whole: float) -> float:
    """A part as a share of a whole; 0 where it is none, whatever the whole is."""
    return part / whole if part > 0 and whole > 0 else float(part > 0)


def idle_findings(
    circuit: Circuit, parameters: Mapping[str, Tensor], evidence: Mapping[str, Tensor], answers: Answers
) -> Iterator[str]:
    """Says of each idle member what was found.

    Args:
        circuit, parameters, evidence, answers: see `idle_members`.

    Returns:
        One line for each: the member, its change of the logits, and what is accepted. None where no member is idle.
    """
    return (idle.finding for idle in idle_members(circuit, parameters, evidence, answers))


def without_idle(
    certificate: Certificate,
    circuit: Circuit,
    parameters: Mapping[str, Tensor],
    evidence: Mapping[str, Tensor],
    answers: Answers,
) -> Certificate:
    """Takes a certificate back where a member of the circuit is idle, and says which.

    Args:
        certificate: what was measured; one of which a bar fails is left as it is.
        circuit, parameters, evidence, answers: as `idle_findings` takes them.
    """
    if certificate.certified and (idle := tuple(idle_findings(circuit, parameters, evidence, answers))):
        return dataclasses.replace(certificate, certified=False, failed=idle)
    return certificate


_Parts = tuple[tuple[str, ...], tuple[Edge, ...]]


def _nodes(circuit: Circuit) -> dict[tuple[str, str], dict[str, _Parts]]:
    """Units of several nodes: the whole unit, and each node."""
    return {
        ("node", unit): {_JOINT: (nodes, ()), **{node: ((node,), ()) for node in nodes}}
        for unit, nodes in circuit.alignment.items()
        if len(nodes) > 1
    }


def _edges(circuit: Circuit) -> dict[tuple[str, str], dict[str, _Parts]]:
    """High-level edges that several low-level edges carry: all of these, and each."""
    return {
        ("edge", name): {_JOINT: ((), tuple(carriers)), **{str(edge): ((), (edge,)) for edge in carriers}}
        for name, carriers in circuit.edges_by_carried.items()
        if len(carriers) > 1
    }


def _edges_within(circuit: Circuit) -> dict[tuple[str, str], tuple[Edge, ...]]:
    """Unit, and one of its nodes -> the edges into this from others of the unit."""
    groups: dict[tuple[str, str], tuple[Edge, ...]] = {}
    for edge, name in circuit.carries.items():
        if name is None:
            into = circuit.unit_of[edge.receiver], edge.receiver
            groups[into] = (*groups.get(into, ()), edge)
    return groups


def _patch(
    evidence: HeldOutPairs, interchange: str, nodes: tuple[str, ...], edges: tuple[Edge, ...]
) -> tuple[Patch, str | None]:
    """The interchange of these parts; their replacement by zero where it never changes the causal model's answer."""
    if bool(evidence.changed(interchange).any()):
        return Patch(nodes=nodes, edges=edges, interchange=interchange), interchange
    return Patch(nodes=nodes, edges=edges, kind="zero"), None
