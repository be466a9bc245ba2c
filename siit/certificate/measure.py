"""Measuring a model from its weights, its labels and its evidence alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Mapping
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from siit.certificate.answers import Answers
from siit.certificate.certificate import BARS, SHARES, Certificate, Effect
from siit.certificate.fields import BY_KIND, KINDS, MIN_CHANGED, MIN_SCORED
from siit.certificate.held_out import HeldOutPairs, held_out_pairs
from siit.certificate.off_circuit import OffCircuit
from siit.certificate.parameters import check_parameters
from siit.certificate.questions import Patch, Quantity, Question, draw_subsets, effect_questions, first_questions
from siit.certificate.reference import ReferenceModel
from siit.certificate.tally import Count, Means, ask, source_means
from siit.certificate.verdict import failures
from siit.graph.architecture import ModelConfig, nodes
from siit.graph.circuit import Circuit

Counts = dict[str, dict[str, Count]]

_NUMBERS = 1 << 27
"""Numbers, of one sort, that a batch may hold at once: half a GiB in float32."""
_FIRST = ("accuracy", "iia", "edge_iia", "strict_joint", "joint_mean", "joint_zero")
"""Fields that are measured in the first stage."""


def measure(
    config: ModelConfig,
    parameters: Mapping[str, Float[Tensor, "..."]],
    circuit: Circuit,
    evidence: Mapping[str, Shaped[Tensor, "..."]],
    answers: Answers,
    *,
    subsets: int = 100,
    batch_size: int = 128,
    staged: bool = False,
    parts_pairs: int | None = None,
    alone_pairs: int | None = None,
    adversary_scored: int | None = None,
    exhaustive: bool = False,
    min_scored: int = MIN_SCORED,
    min_changed: int = MIN_CHANGED,
    bars: Mapping[str, float] = BARS,
    seed: int = 0,
) -> Certificate:
    """Measures every number of the certificate, on the device where the weights are.

    Args:
        config: the architecture.
        parameters: weights, by their HookedTransformer names.
        circuit: the labels.
        evidence: by the names of a bundle's `evaluation.safetensors`, [pairs, n_ctx] each. Permuted position ids,
            `source_positions`, are needed where an edge from `pos_embed` is off the circuit. `probe/<name>/...` are
            inputs of another kind, reported under `details["probes"]`. Other tensors are not looked at.
        answers: how outputs are read and compared.
        subsets: how many random subsets of the off-circuit parts are replaced.
        batch_size: pairs per forward pass, at most; fewer where one of them alone is large.
        staged: whether measuring ends after a stage in which a share is below its bar. The stages are accuracy, joint
            ablations and interchanges; the adversary's subsets; random subsets; single parts, which take longest. The
            adversary's end as soon as their bar is out of reach.
        parts_pairs: single parts and subsets are measured on so many of the first pairs; where None, on as few as
            hold `min_scored` scored positions.
        alone_pairs: likewise for single parts alone, which take longest; where None, on `parts_pairs`.
        adversary_scored: the adversary's subsets are measured on the fewest of the first pairs that hold so many scored
            positions; where None, on `parts_pairs`.
        exhaustive: the evidence is all there is, so the two minima below do not apply.
        min_scored: scored positions that every quantity must rest on.
        min_changed: pairs in which every interchange must change the high-level model's answer, unless it never does.
        bars: what each field must reach; others than the certificate's own are for training's checks alone.
        seed: of random subsets, and of the adversary's random starts; other than 0 for a verifier's own pairs alone.

    Raises:
        ValueError: names the tensor or argument, what was found and what is accepted.
    """
    for name, value in (
        ("subsets", subsets),
        ("batch_size", batch_size),
        ("parts_pairs", parts_pairs),
        ("alone_pairs", alone_pairs),
        ("adversary_scored", adversary_scored),
    ):
        if value is not None and value < 1:
            raise ValueError(f"{name}: found {value}, accepted is at least 1")
    if circuit.config != config:
        raise ValueError(f"circuit: found labels of {circuit.config}, accepted are those of {config}")
    check_parameters(config, parameters)
    checked = held_out_pairs(circuit, evidence, answers)
    model = ReferenceModel(config, parameters)
    batch_size = min(batch_size, _fitting(config))
    means = source_means(model, checked, batch_size)
    interchanges = {name: checked.counts(name) for name in (*circuit.alignment, *circuit.edges_by_carried)}
    constant = frozenset(name for name, counts in interchanges.items() if not counts.changed_positions)
    drawn = draw_subsets(circuit, subsets, seed)

    used = checked.first(checked.enough(min_scored) if parts_pairs is None else min(parts_pairs, checked.pairs))
    parts = OffCircuit(model, circuit, used, means, batch_size, seed)
    single = parts if alone_pairs is None else parts.on(used.first(min(alone_pairs, used.pairs)))
    attacked = parts if adversary_scored is None else parts.on(checked.first(checked.enough(adversary_scored)))
    out_of_reach = bars["strict_adversarial"] if staged else None
    counts: Counts = ask(model, checked, means, first_questions(circuit), batch_size)
    measured = list(_FIRST)
    stages: tuple[tuple[tuple[str, ...], Callable[[], Counts]], ...] = (
        (("strict_adversarial",), lambda: attacked.adversarial(out_of_reach)),
        (("strict_subsets",), lambda: parts.subsets(drawn)),
        (("strict_node", "strict_edge"), single.alone),
    )
    for fields, stage in stages:
        if staged and _least(counts, bars) < 0:
            break
        counts |= stage()
        measured += fields
    screened = len(measured) < len(SHARES)
    if not screened:
        counts = _united(counts, ask(model, checked, means, effect_questions(circuit, constant), batch_size))

    by_kind = {field: _by_kind(counts, field) for field in measured if field in (*BY_KIND, "strict_adversarial")}
    values = {field: _shares(counts, by_kind, field) for field in SHARES if field in measured}
    effect, effect_details = (None, {}) if screened else _effect(circuit, counts, constant)
    details: dict[str, Any] = {field: shares for field, shares in values.items() if list(shares) != ["all"]}
    details["by_kind"] = {field: kinds for field, kinds in by_kind.items() if field in BY_KIND}
    if "strict_subsets" in measured:
        details["subsets"] = drawn
    if not screened:
        probes = {name: _probe(model, circuit, checked.probe(name), means, batch_size) for name in checked.probes}
        details |= {"effect": effect_details} | ({"probes": probes} if probes else {})
    scored = {field: _positions(counts, field) for field, shares in values.items() if shares}
    record = {
        "pairs": checked.pairs,
        "exhaustive": exhaustive,
        "required": {"scored": min_scored, "changed_pairs": min_changed},
        "scored": scored,
        "exchanges": {name: dataclasses.asdict(interchange) for name, interchange in interchanges.items()},
        "nothing_measured": [field for field, shares in values.items() if not shares],
    }
    shares: dict[str, Any] = dict.fromkeys(SHARES)
    shares |= {field: min(found.values(), default=1.0) for field, found in values.items()}
    failed = failures(values, effect, effect_details, record, bars)
    if screened:
        failed.append("the rest was not measured after these")
    return Certificate(
        certified=not failed,
        **shares,
        effect=effect,
        details=details,
        bars=dict(bars),
        failed=tuple(failed),
        evidence=record,
    )


def _fitting(config: ModelConfig) -> int:
    """Tells how many pairs fit into one batch, by the largest thing that is held of each."""
    components = len(nodes(config)) * config.d_model
    return max(1, _NUMBERS // (config.n_ctx * max(config.n_heads * config.n_ctx, components, config.d_mlp)))


def _probe(
    model: ReferenceModel, circuit: Circuit, probe: HeldOutPairs, means: Means, batch_size: int
) -> dict[str, float | int]:
    """Share right of the whole model, and of the circuit alone, everything else resampled from the row before."""
    alone = Patch(tuple(circuit.off_nodes), tuple(circuit.off_edges))
    scores = [(Patch(), "accuracy"), (alone, "circuit_alone")]
    questions = [Question(patch, (Quantity(field, "all"),)) for patch, field in scores]
    counts = ask(model, probe, means, questions, batch_size)
    return {**{field: counts[field]["all"].value for _, field in scores}, "scored": counts["accuracy"]["all"].positions}


def _least(counts: Counts, bars: Mapping[str, float]) -> float:
    """By how much the share that is nearest to failing is above its bar."""
    by_field = ((_field(name), found) for name, found in counts.items())
    return min(count.value - bars[field] for field, found in by_field if field in SHARES for count in found.values())


def _positions(counts: Counts, field: str) -> int:
    return min(count.positions for name, found in counts.items() for count in found.values() if _field(name) == field)


def _field(name: str) -> str:
    """The field that a count belongs to, whatever the kind of replacement."""
    field, _, kind = name.rpartition(".")
    return field if kind in KINDS else name


def _by_kind(counts: Counts, field: str) -> dict[str, dict[str, float]]:
    """Kind of replacement -> component -> share right, where there are components."""
    kinds = {kind: counts.get(f"{field}.{kind}") for kind in KINDS}
    return {kind: {name: count.value for name, count in found.items()} for kind, found in kinds.items() if found}


def _shares(counts: Counts, by_kind: Mapping[str, Mapping[str, Mapping[str, float]]], field: str) -> dict[str, float]:
    """Component -> share right: under the worst kind of replacement, or, of the adversary, of each kind."""
    kinds = by_kind.get(field)
    if kinds is None:
        return {name: count.value for name, count in counts.get(field, {}).items()}
    if field == "strict_adversarial":
        return {kind: shares["all"] for kind, shares in kinds.items()}
    names = next(iter(kinds.values()), {})
    return {name: min(shares[name] for shares in kinds.values()) for name in names}


def _effect(circuit: Circuit, counts: Counts, constant: frozenset[str]) -> tuple[Effect, dict[str, dict[str, Any]]]:
    """The effect of every part of the circuit, and how each was measured."""
    units, edges, alone = (counts.get(f"effect.{part}", {}) for part in ("units", "edges", "nodes"))
    nodes = {node: alone.get(node, units[unit]) for node, unit in circuit.unit_of.items()}

    def how(part: dict[str, Count], interchange_of: Mapping[str, str], logits: Container[str] = ()) -> dict[str, Any]:
        return {
            name: {
                "by": "zero" if interchange_of[name] in constant else "exchange",
                "measure": "logits" if name in logits else "output",
                "positions": count.positions,
            }
            for name, count in part.items()
        }

    def value(part: dict[str, Count]) -> dict[str, float]:
        return {name: count.value for name, count in part.items()}

    effect = Effect(value(units), value(edges), value(nodes))
    return effect, {
        "units": how(units, {name: name for name in units}),
        "edges": how(edges, {name: name for name in edges}),
        "nodes": how(nodes, circuit.unit_of, logits=alone),
    }


def _united(first: Counts, rest: Counts) -> Counts:
    """All counts; only effects are counted in both parts."""
    return {field: {**first.get(field, {}), **rest.get(field, {})} for field in dict.fromkeys([*first, *rest])}
