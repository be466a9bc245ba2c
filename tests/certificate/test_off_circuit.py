"""What is off the circuit: single parts against the reference, the adversary, and faults that one of them shows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siit.certificate import Answers, ReferenceModel
from siit.certificate.adversary import _best, _loss
from siit.certificate.fields import KINDS, Kind
from siit.certificate.held_out import HeldOutPairs, held_out_pairs
from siit.certificate.off_circuit import OffCircuit
from siit.certificate.questions import Patch
from siit.certificate.rows import rows_of
from siit.certificate.tally import Batch, source_means
from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit
from tests.builders import handmade
from tests.builders.handmade import CIRCUIT, CONFIG, MANY, MANY_CIRCUIT, certify
from tests.certificate.test_reference import configs, random_model

torch.set_num_threads(1)

CLASSES = Answers("categorical", None)


def random_pairs(config: ModelConfig, seed: int, share: float = 0.5) -> tuple[ReferenceModel, HeldOutPairs]:
    """A model in double precision, and pairs at this share of whose positions it happens to be right."""
    model, _ = random_model(config, seed)
    generator = torch.Generator().manual_seed(seed)
    base, source = torch.randint(config.d_vocab, (2, 9, config.n_ctx), generator=generator)
    target = model.run(base).logits.argmax(-1)
    scored = torch.rand(target.shape, generator=generator) < share
    order = torch.arange(config.n_ctx).flip(0).expand(target.shape)
    tensors = {"base_tokens": base, "base_target": target, "base_scored": scored, "source_positions": order}
    return model, HeldOutPairs({**tensors, "source_tokens": source}, CLASSES)


@pytest.mark.slow
@pytest.mark.ci
@given(st.data())
@settings(max_examples=20, deadline=None)
def test_single_parts_are_those_of_the_reference(data: st.DataObject):
    """Every node and edge, under each kind, however many positions are scored and however pairs are batched."""
    share = data.draw(st.sampled_from([0.1, 0.5]))
    model, pairs = random_pairs(data.draw(configs()), data.draw(st.integers(0, 100)), share)
    means = source_means(model, pairs, 4)
    parts = OffCircuit(model, Circuit(model.config, {}, {}), pairs, means, data.draw(st.sampled_from([2, 4, 9])))
    found = parts.alone()
    batch = Batch(model, pairs, means)
    scored = pairs.scored(None)
    for kind in KINDS:
        values = batch.values(Patch(kind=kind))
        for node in parts.circuit.off_nodes:
            run = model.patched(batch.clean, {node: values[node]})
            assert found[f"strict_node.{kind}"][node].total == right(run.logits, pairs, scored)
        for edge in parts.circuit.off_edges:
            run = model.patched(batch.clean, edges={edge: values[edge.sender]})
            count = found[f"strict_edge.{kind}"][str(edge)]
            assert (count.total, count.positions) == (right(run.logits, pairs, scored), int(scored.sum()))


def right(logits: Tensor, pairs: HeldOutPairs, scored: Tensor) -> int:
    return int((CLASSES.right(logits, pairs.target(None)) & scored).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_adversary_finds_is_so(kind: Kind):
    """Its subsets, pair by pair, make the reference wrong as often as it says."""
    weights = handmade.broken()
    model = ReferenceModel(CONFIG, weights)
    pairs = held_out_pairs(CIRCUIT, handmade.evidence(), CLASSES)
    means = source_means(model, pairs, 100)
    parts = OffCircuit(model, CIRCUIT, pairs, means, 100)
    attack = parts.attack(kind)
    assert not bool(attack.edges[:, ~parts.edges].any()), "of edges off the circuit alone"
    batch = Batch(model, pairs, means)
    values = batch.values(Patch(kind=kind))
    for row in range(0, pairs.pairs, 17):
        chosen = [edge for edge, on in zip(parts.executor.edges, attack.edges[row], strict=True) if on]
        run = model.patched(batch.clean, edges={edge: values[edge.sender] for edge in chosen})
        wrong = ~CLASSES.right(run.logits[row], pairs.target(None)[row]) & pairs.scored(None)[row]
        assert int(wrong.sum()) == int(attack.wrong[row])
    share = 1 - float(attack.wrong.sum()) / handmade.SCORED
    assert share == parts.adversarial()[f"strict_adversarial.{kind}"]["all"].value
    assert (share < 0.8) == (kind == "resample")


def test_an_ascent_flips_the_greater_half_of_what_promises_something():
    gain = torch.tensor([[3.0, 1.0, 2.0, -1.0, 0.0], [0.0, -2.0, 5.0, -1.0, 0.0], [0.0] * 5])
    assert _best(gain).int().tolist() == [[1, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0] * 5]


def test_the_adversary_aims_at_what_is_still_right():
    """Margins -1, 2 (wrong already) and -4, of which the last is not scored; then none is right any more."""
    logits = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [4.0, 0.0]]])
    target, scored = torch.zeros(1, 3, dtype=torch.int64), torch.tensor([[True, True, False]])
    right = CLASSES.right(logits, target)
    assert _loss(logits, target, CLASSES, scored, right).tolist() == [-1.0]
    assert _loss(logits, target, CLASSES, torch.tensor([[False, True, False]]), right).tolist() == [2.0]


@pytest.mark.slow
@pytest.mark.ci
def test_the_adversary_ends_where_its_bar_is_out_of_reach():
    """With a share above what all pairs have it ends early, and short of the bar; else it is as without one."""
    model = ReferenceModel(CONFIG, handmade.broken())
    pairs = held_out_pairs(CIRCUIT, handmade.evidence(), CLASSES)
    parts = OffCircuit(model, CIRCUIT, pairs, source_means(model, pairs, 10), 10)
    whole = parts.adversarial()
    share = min(counts["all"].value for counts in whole.values())
    assert parts.adversarial(share) == whole
    for bar in (share + 1e-9, (1 + share) / 2, 1.0):
        ended = parts.adversarial(bar)
        assert next(iter(ended)) == "strict_adversarial.zero"
        reached = {field: counts["all"].value >= bar for field, counts in ended.items()}
        assert [*reached.values()] == [True] * (len(reached) - 1) + [False], "it is the last that falls short"
        assert sum(counts["all"].positions for counts in ended.values()) < 3 * handmade.SCORED


def test_edges_into_a_node_that_no_node_shows():
    """Only an edge that leads into an off-circuit node does harm, which certificates of the first kind left out."""
    certificate = certify(handmade.untested())
    assert certificate.iia == certificate.edge_iia == certificate.strict_node == certificate.joint_zero == 1.0
    assert {name: share for name, share in certificate.details["strict_edge"].items() if share < 1} == {
        "tok_embed->m1": 0.5
    }
    by_kind = certificate.details["by_kind"]["strict_edge"]
    assert [by_kind[kind]["tok_embed->m1"] for kind in KINDS] == [1.0, 1.0, 0.5]
    assert not certificate.certified


@pytest.mark.slow
@pytest.mark.ci
def test_what_only_the_adversary_shows():
    """Each edge alone, all at once and a hundred random subsets do no harm; half of the heads together do."""
    certificate = certify(handmade.conspiring(), MANY_CIRCUIT, subsets=100)
    assert certificate.strict_node == certificate.strict_edge == certificate.strict_subsets == 1.0
    assert certificate.joint_zero == certificate.joint_mean == certificate.strict_joint == 1.0
    # A push makes either the answers no wrong or the answers yes; of three, the more frequent ones are 2.25.
    assert certificate.details["strict_adversarial"] == {"resample": 1.0, "mean": 1.0, "zero": 0.25}
    assert not certificate.certified
    assert certificate.failed == (
        "strict_adversarial: 0.25000 is 0.74900 below 0.999: 1 of 3 fall short, the worst first: zero 0.25000",
    )
    assert certify(handmade.parameters(MANY), MANY_CIRCUIT).certified


def test_one_base_is_run_once():
    """Where nothing depends on the sources; each stands for its pairs, short ones first."""
    pairs = held_out_pairs(CIRCUIT, handmade.evidence(), CLASSES)
    rows = rows_of(pairs, bases=True, sort=True)
    assert rows.pairs.pairs == 16 and rows.counts.tolist() == [16] * 16
    assert torch.equal(rows.pairs.base[rows.place], pairs.base)
    every = rows_of(pairs, bases=False, sort=True)
    assert torch.equal(every.pairs.source[every.place], pairs.source) and set(every.counts.tolist()) == {1}
