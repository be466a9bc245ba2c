"""Parts that matter: each single node and edge on the circuit moves the output by a fair share of what its group does.

An interchange of a group whose true members do all the work says nothing of an idle head that was added to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from torch import Tensor

from siit.certificate import Answers, Certificate, ReferenceModel
from siit.certificate.held_out import HeldOutPairs, held_out_pairs
from siit.certificate.questions import Patch, Quantity, Question
from siit.certificate.tally import ask, source_means
from siit.graph.architecture import Edge
from siit.graph.circuit import Circuit

FAIR_SHARE = 0.02
"""Least change of the logits by one member alone, as a share of the change by its whole group."""
_BATCH = 128
_JOINT = "together"


def matter_findings(
    circuit: Circuit, parameters: Mapping[str, Tensor], evidence: Mapping[str, Tensor], answers: Answers
) -> Iterator[str]:
    """Lists nodes and edges on the circuit that hardly move the output, beside the others that carry the same.

    A member must move it by its interchange, or replaced by its mean. What heads tell an MLP of their unit may be the
    same in both inputs of each interchange: *that* a name was mentioned. An idle member moves nothing by its mean
    either, whatever constant it writes.

    Args:
        circuit: labels that follow from the causal model.
        parameters: the weights, on the device where the model runs.
        evidence: pairs with the causal model's answers.
        answers: how outputs are compared.
    """
    checked = held_out_pairs(circuit, evidence, answers)
    groups = {**_nodes(circuit), **_edges(circuit)}
    questions = []
    for group, members in groups.items():
        for name, (nodes, edges) in members.items():
            patch, interchange = _patch(checked, group[1], nodes, edges)
            averaged = Patch(nodes=nodes, edges=edges, kind="mean")
            questions.append(Question(patch, (Quantity("/".join(group), name, "logits", interchange),)))
            questions.append(Question(averaged, (Quantity("/".join((*group, "mean")), name, "logits"),)))
    if not questions:
        return
    model = ReferenceModel(circuit.config, parameters)
    counts = ask(model, checked, source_means(model, checked, _BATCH), questions, _BATCH)
    for group, members in groups.items():
        by_interchange, by_mean = counts["/".join(group)], counts["/".join((*group, "mean"))]
        joint = by_interchange[_JOINT].value
        most = max(joint, by_mean[_JOINT].value)
        for name in members:
            value, mean = by_interchange[name].value, by_mean[name].value
            if name != _JOINT and not (value > FAIR_SHARE * joint or mean > FAIR_SHARE * most):
                yield (
                    f"{group[0]} {name}: found a change of the logits of {value:.2g} by it alone, and of {mean:.2g} by "
                    f"its mean; accepted is more than {FAIR_SHARE:.0%} of that of {group[1]} as a whole, "
                    f"{joint:.2g} or {most:.2g}"
                )


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
        circuit, parameters, evidence, answers: as `matter_findings` takes them.
    """
    if certificate.certified and (idle := tuple(matter_findings(circuit, parameters, evidence, answers))):
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


def _patch(
    evidence: HeldOutPairs, interchange: str, nodes: tuple[str, ...], edges: tuple[Edge, ...]
) -> tuple[Patch, str | None]:
    """The interchange of these parts; their replacement by zero where it never changes the causal model's answer."""
    if bool(evidence.changed(interchange).any()):
        return Patch(nodes=nodes, edges=edges, interchange=interchange), interchange
    return Patch(nodes=nodes, edges=edges, kind="zero"), None
