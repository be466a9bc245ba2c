"""Narrowing: edges that carry nothing beside others that carry the same leave the circuit, and the run trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from siit.certificate import ReferenceModel
from siit.certificate.held_out import held_out_pairs
from siit.certificate.questions import Patch, Quantity, Question
from siit.certificate.tally import ask, source_means
from siit.graph.architecture import Edge
from siit.interchange.evidence import build_evidence
from siit.training.fit.module import SIITModule
from siit.training.fit.plan import Plan, relabelled
from siit.training.fit.revisions import Narrowing
from siit.verification.idle_members import Idle, idle_members

PAIRS = 256
"""Validation pairs on which it is seen what the other edges carry."""
STILL_RIGHT = 0.95
"""Share of answers that must stay right without the edges that leave. What is lost is learned again as training goes
on. Where several edges carry the same, and each alone can be done without, it keeps the last of them."""
_BATCH = 128


def idle_in(module: SIITModule, evidence: Mapping[str, Tensor]) -> list[Idle]:
    """Lists members of the circuit that hardly move the output of the averaged weights, see `idle_members`.

    Args:
        module: whose averaged weights are measured.
        evidence: validation pairs with the causal model's answers, on the module's device.
    """
    circuit = module.objective.interchanges.labels.circuit
    return list(idle_members(circuit, module.averaged, evidence, module.answers))


def next_narrowing(plan: Plan, module: SIITModule, idle: Sequence[Idle], step: int) -> Narrowing | None:
    """Finds the edges that leave the circuit, the idlest first; None where the others do not carry what they do.

    Args:
        plan: what is trained, with what was changed so far.
        module: whose averaged weights are measured.
        idle: members that hardly move the output.
        step: at which they were found.
    """
    leaving: list[Edge] = []
    for member in sorted(idle, key=lambda member: member.share):
        for edge in member.edges:
            if edge not in leaving and _right_without(plan, module, [*leaving, edge]) >= STILL_RIGHT:
                leaving.append(edge)
    return Narrowing(tuple(map(str, leaving)), step) if leaving else None


def _right_without(plan: Plan, module: SIITModule, leaving: Sequence[Edge]) -> float:
    """Measures the least share of right answers if these edges were off the circuit.

    They are replaced all at once, by another input's and by their mean, and the others alone carry the interchanges.
    0 where a high-level edge would be carried by nothing.
    """
    try:
        narrow = relabelled(plan, plan.alignment, [*plan.idle, *leaving])
    except ValueError:
        return 0.0
    before, circuit = plan.interchanges.labels.circuit, narrow.interchanges.labels.circuit
    nodes = tuple(node for node in before.unit_of if node not in circuit.unit_of)
    gone = tuple(edge for edge in before.carries if edge not in circuit.carries)
    questions = [
        Question(Patch(nodes, gone, "resample"), (Quantity("right", "by another input's"),)),
        Question(Patch(nodes, gone, "mean"), (Quantity("right", "by their mean"),)),
    ]
    for name, carriers in circuit.edges_by_carried.items():
        if carriers != before.edges_by_carried.get(name):
            patch = Patch(edges=tuple(carriers), interchange=name)
            questions.append(Question(patch, (Quantity("right", name, interchange=name),)))
    drawn = build_evidence(
        narrow.interchanges,
        plan.task.pairs("val", seed=module.seed),
        module.seed,
        answers=plan.task.answers,
        pairs=PAIRS,
        min_scored=0,
        min_changed=1,
    )
    evidence = {name: tensor.to(module.device) for name, tensor in drawn.items()}
    checked = held_out_pairs(circuit, evidence, module.answers)
    model = ReferenceModel(circuit.config, module.averaged)
    counts = ask(model, checked, source_means(model, checked, _BATCH), questions, _BATCH)
    return min(count.value for count in counts["right"].values())
