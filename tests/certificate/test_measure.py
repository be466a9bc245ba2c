"""What a certificate finds in a model whose weights are written by hand, and in what is planted there."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from siit.certificate import FIELDS, ReferenceModel, measure
from siit.certificate.answers import Answers
from siit.certificate.held_out import HeldOutPairs
from siit.certificate.off_circuit import OffCircuit
from siit.certificate.questions import Patch, draw_subsets
from siit.certificate.report import rows
from siit.certificate.tally import Batch, Count, source_means
from siit.graph.architecture import Edge, edges
from siit.graph.circuit import Circuit
from tests.builders import handmade
from tests.builders.handmade import BIAS, CIRCUIT, CONFIG, IS_X, PREV, TOKEN, certify, copy_previous, parameters

torch.set_num_threads(1)

CLASSES = Answers("categorical", None)
LATER = ("strict_adversarial", "strict_subsets", "strict_node", "strict_edge")
"""Fields in the order in which they are measured, after all others."""


def test_true_labels_are_certified():
    certificate = certify(subsets=100)
    assert certificate.certified and certificate.failed == ()
    assert [getattr(certificate, name) for name in FIELDS[:-1]] == [1.0] * 10
    assert certificate.effect is not None
    assert set(certificate.effect.units) == {"is_x", "prev"}
    assert set(certificate.effect.edges) == set(CIRCUIT.edges_by_carried)
    assert dict(certificate.effect.nodes) == {"m0": 1.0, "a1.h0": 1.0}
    assert set(certificate.details["strict_node"]) == set(CIRCUIT.off_nodes)
    assert set(certificate.details["strict_edge"]) == set(map(str, CIRCUIT.off_edges))
    assert len(certificate.details["subsets"]) == 100
    assert certificate.evidence["scored"]["strict_node"] == handmade.SCORED
    interchange = certificate.evidence["exchanges"]["prev"]
    # Half of the positions change; the pairs in which none does agree on three tokens: 2 * 2 * 2 ** 3.
    assert interchange["changed_positions"] == handmade.SCORED / 2
    assert interchange["changed_pairs"] == handmade.PAIRS - 32
    assert interchange["undefined_share"] == 0
    assert certificate.evidence["exchanges"]["indices->prev<q>"]["undefined_share"] > 0


@pytest.mark.parametrize("batch_size", [pytest.param(1000, marks=pytest.mark.slow), 31])
def test_batches_do_not_matter(batch_size: int):
    weights = parameters()
    weights["blocks.1.attn.W_V"][0, TOKEN + 1, 0] = 0.8
    assert certify(weights, batch_size=batch_size).to_json() == certify(weights).to_json()


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_what_nothing_scored_can_see_is_left_out(direction: str, monkeypatch: pytest.MonkeyPatch):
    """Of a causal model, and its numbers stay what they are."""
    config = dataclasses.replace(CONFIG, attention_dir=direction)
    circuit = Circuit(config, CIRCUIT.alignment, CIRCUIT.carries)
    lengths = torch.randint(2, 5, (handmade.PAIRS, 1), generator=torch.Generator().manual_seed(0))
    tensors = {
        name: tensor & (torch.arange(5) < lengths) if name.endswith("scored") else tensor
        for name, tensor in handmade.evidence().items()
    }
    weights = parameters()
    weights["blocks.1.attn.W_V"][0, TOKEN + 1, 0] = 0.8
    seen: list[int] = []
    run = ReferenceModel.run

    def watched(self: ReferenceModel, tokens: Tensor, positions: Tensor | None = None) -> Any:
        seen.append(tokens.shape[1])
        return run(self, tokens, positions)

    monkeypatch.setattr(ReferenceModel, "run", watched)
    options: dict[str, Any] = {"batch_size": 32, "min_scored": 0, "min_changed": 0}
    trimmed = certify(weights, circuit, tensors, **options)
    assert set(seen) == ({1, 2, 3, 4, 5} if direction == "causal" else {5})
    monkeypatch.setattr(HeldOutPairs, "trimmed", lambda evidence: evidence)
    assert trimmed.to_json() == certify(weights, circuit, tensors, **options).to_json()


def test_numerical_output():
    config = dataclasses.replace(CONFIG, d_vocab_out=1)
    circuit = Circuit(config, CIRCUIT.alignment, CIRCUIT.carries)
    tensors = {
        name: tensor.float() if name.endswith("target") else tensor for name, tensor in handmade.evidence().items()
    }
    options: dict[str, Any] = {"answers": Answers("numerical", 0.05)}
    assert certify(None, circuit, tensors, **options).certified
    weights = parameters(config)
    weights["unembed.b_U"][0] = 0.06
    off = certify(weights, circuit, tensors, **options)
    assert off.accuracy == 0.0 and off.effect is not None and off.effect.units["prev"] == 1.0


def test_an_edge_that_no_node_shows():
    """The head reads the token directly too: with a resampled token, right answers of no turn to yes."""
    weights = parameters()
    weights["blocks.1.attn.W_V"][0, TOKEN + 1, 0] = 0.8
    certificate = certify(weights)
    assert not certificate.certified
    assert certificate.accuracy == certificate.strict_node == 1.0
    assert certificate.strict_edge == 0.75
    assert certificate.worst("strict_edge") == ("tok_embed->a1.h0<v>", 0.75)
    lines = [line for line in certificate.failed if line.startswith("strict_edge")]
    assert lines == [
        "strict_edge: 0.75000 is 0.24900 below 0.999: 1 of 91 fall short, the worst first: tok_embed->a1.h0<v> 0.75000"
    ]


def test_a_position_edge_that_only_zero_shows():
    """At every position but BOS the position embedding cancels a bias: permuting it changes nothing there."""
    weights = parameters()
    weights["pos_embed.W_pos"][1:, BIAS] = -1
    weights["unembed.W_U"][BIAS, 1] = 1
    weights["unembed.b_U"][1] = 1
    certificate = certify(weights)
    assert certificate.worst("strict_edge") == ("pos_embed->logits", 0.5)
    by_kind = certificate.details["by_kind"]["strict_edge"]
    assert {kind: shares["pos_embed->logits"] for kind, shares in by_kind.items()} == {
        "resample": 1.0,
        "mean": by_kind["mean"]["pos_embed->logits"],
        "zero": 0.5,
    }
    assert certificate.strict_joint == certificate.joint_mean == 1.0
    assert certificate.joint_zero == 0.5


def test_redundant_paths_that_only_the_joint_ablation_shows():
    """Two off-circuit heads do what the circuit does, and the majority decides."""
    weights = parameters()
    for head in (1, 2):
        copy_previous(weights, head, IS_X)
    weights["unembed.b_U"][0] = 1.5
    certificate = certify(weights)
    assert certificate.accuracy == certificate.strict_node == certificate.strict_edge == 1.0
    assert certificate.strict_joint == certificate.strict_subsets == certificate.joint_zero == 0.5
    assert any(line.startswith("strict_joint: 0.50000 is 0.49900 below 0.999") for line in certificate.failed)


def test_a_constant_that_only_zero_shows():
    """An off-circuit MLP writes the threshold that the answer needs: resampled, or its mean, it is the same."""
    weights = parameters()
    weights["blocks.1.mlp.b_out"][BIAS] = 1
    weights["unembed.W_U"][BIAS, 0] = 1.2
    weights["unembed.b_U"][0] = -0.7
    certificate = certify(weights)
    low = ["strict_node", "strict_edge", "strict_subsets", "strict_adversarial", "joint_zero"]
    shares = {name: getattr(certificate, name) for name in FIELDS[:-1]}
    assert {name: share for name, share in shares.items() if share < 1} == dict.fromkeys(low, 0.5)
    assert [line.partition(":")[0] for line in certificate.failed] == low
    assert certificate.worst("strict_node") == ("m1", 0.5) and certificate.worst("strict_edge") == ("m1->logits", 0.5)
    assert certificate.details["by_kind"]["strict_node"]["mean"]["m1"] == 1.0
    assert certificate.details["strict_adversarial"] == {"resample": 1.0, "mean": 1.0, "zero": 0.5}


def test_a_dead_unit():
    """m1 does nothing, and what it is said to hold never changes the answer."""
    circuit = Circuit(CONFIG, {**CIRCUIT.alignment, "idle": ("m1",)}, CIRCUIT.carries)
    tensors = handmade.evidence()
    tensors |= {"do/idle/target": tensors["base_target"], "do/idle/scored": tensors["base_scored"]}
    certificate = certify(None, circuit, tensors)
    assert certificate.iia == certificate.strict_edge == 1.0
    assert certificate.effect is not None and certificate.effect.units["idle"] == 0.0
    how = {"by": "zero", "measure": "output", "positions": handmade.SCORED}
    assert certificate.details["effect"]["units"]["idle"] == how
    assert certificate.failed == (
        "effect: unit idle: its replacement by zero changes the answer at a share of 0.000000 over 768 positions, "
        "which is not above 0",
        "effect: node m1: its replacement by zero changes the answer at a share of 0.000000 over 768 positions, "
        "which is not above 0",
    )


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_a_node_of_a_set_alone(share: float):
    """Two heads hold `prev`; the second writes a share of it, to be told from none by the logits alone."""
    weights = parameters()
    copy_previous(weights, 1, IS_X)
    weights["blocks.1.attn.W_O"][1] *= share
    carries: dict[Edge, str | None] = dict(CIRCUIT.carries)
    for edge, name in CIRCUIT.carries.items():
        if edge.receiver == "a1.h0":
            carries[Edge(edge.sender, "a1.h1", edge.slot)] = name
        if edge.sender == "a1.h0":
            carries[Edge("a1.h1", edge.receiver, edge.slot)] = name
    circuit = Circuit(CONFIG, {"is_x": ("m0",), "prev": ("a1.h0", "a1.h1")}, carries)
    certificate = certify(weights, circuit)
    assert certificate.effect is not None
    # Of two logits, one changes by the share: centred, both by half of it.
    assert certificate.effect.nodes["a1.h1"] == pytest.approx(share / 2)
    assert certificate.effect.nodes["a1.h0"] == pytest.approx(1 / 2)
    assert certificate.effect.units["prev"] == 1.0
    how = {"by": "exchange", "measure": "logits", "positions": handmade.SCORED // 2}
    assert certificate.details["effect"]["nodes"]["a1.h1"] == how
    assert certificate.certified == (share > 0)
    assert [line[:20] for line in certificate.failed] == ([] if share else ["effect: node a1.h1: "])


def test_an_exchange_that_the_model_ignores():
    weights = parameters()
    weights["blocks.1.attn.W_O"].zero_()
    certificate = certify(weights)
    assert certificate.iia == 0.5 and certificate.effect is not None
    assert set(certificate.effect.units.values()) == {0.0}
    dead = [line for line in certificate.failed if line.startswith("effect: unit prev: its interchange changes")]
    assert len(dead) == 1


def test_edges_not_from_nodes():
    """A head listed in the wrong slot: its unit passes, its edges do not."""
    wrong = {Edge("m0", "a1.h0", "k") if edge.sender == "m0" else edge: name for edge, name in CIRCUIT.carries.items()}
    certificate = certify(None, Circuit(CONFIG, CIRCUIT.alignment, wrong))
    assert certificate.iia == certificate.strict_node == 1.0
    assert certificate.edge_iia == 0.5
    assert certificate.effect is not None and certificate.effect.edges["is_x->prev<v>"] == 0.0
    assert certificate.worst("strict_edge") == ("m0->a1.h0<v>", 0.5)


def test_insufficient_evidence():
    certificate = certify(exhaustive=False)
    assert not certificate.certified
    # A permuted position id may select nothing, which leaves positions unscored.
    least = min(counts["scored"] for counts in certificate.evidence["exchanges"].values())
    assert least < handmade.SCORED
    assert certificate.failed[0] == (
        f"evidence: fewer than 4096 scored positions: edge_iia {least}, accuracy 768, iia 768, and 7 more"
    )
    rare = certify(exhaustive=False, min_scored=100, min_changed=225)
    assert len(rare.failed) == 1 and rare.failed[0].startswith("evidence: fewer than 225 pairs with a changed answer: ")
    assert certify(exhaustive=False, min_scored=100, min_changed=100).certified


def test_an_exchange_that_never_changes_the_answer_needs_no_changed_pairs():
    tensors = handmade.evidence()
    tensors |= {"source_tokens": tensors["base_tokens"], "do/is_x/target": tensors["base_target"]}
    certificate = certify(tensors=tensors, exhaustive=False, min_scored=100, min_changed=100)
    assert certificate.details["effect"]["units"]["is_x"]["by"] == "zero"
    assert certificate.effect is not None and certificate.effect.units["is_x"] == 0.5
    assert not any("is_x " in line for line in certificate.failed if line.startswith("evidence"))


def test_nothing_scored_meets_no_bar():
    tensors = handmade.evidence()
    tensors = {name: tensor & False if name.endswith("scored") else tensor for name, tensor in tensors.items()}
    certificate = certify(tensors=tensors)
    assert not certificate.certified and certificate.accuracy == 0.0


def test_screening_spares_the_rest():
    weights = parameters()
    weights["unembed.b_U"][0] = -0.1
    screened = certify(weights, staged=True)
    full = certify(weights)
    assert not screened.certified
    for name in (*LATER, "effect"):
        assert getattr(screened, name) is None and screened.worst(name) is None
    for name in ("accuracy", "iia", "edge_iia", "strict_joint", "joint_mean", "joint_zero"):
        assert getattr(screened, name) == getattr(full, name) != 1.0
    assert screened.failed[-1] == "the rest was not measured after these"
    assert full.failed[-1] != screened.failed[-1]
    assert certify(staged=True) == certify()


@pytest.mark.parametrize(
    ("stage", "spared"),
    [("adversarial", LATER[1:]), ("subsets", LATER[2:]), ("alone", ())],
)
def test_each_stage_is_screened(stage: str, spared: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    """The cheap ones first; what a stage that falls short spares is not measured."""
    measured = getattr(OffCircuit, stage)

    def worse(self: OffCircuit, *arguments: Any) -> dict[str, dict[str, Count]]:
        found = measured(self, *arguments)
        return {field: dict.fromkeys(counts, Count(1.0, 2)) for field, counts in found.items()}

    monkeypatch.setattr(OffCircuit, stage, worse)
    certificate = certify(staged=True)
    assert not certificate.certified
    assert tuple(name for name in LATER if getattr(certificate, name) is None) == spared
    assert (certificate.effect is None) == (stage != "alone")


def test_single_parts_on_a_few_pairs():
    certificate = certify(parts_pairs=40)
    assert {certificate.evidence["scored"][name] for name in LATER} == {40 * 3}
    assert certificate.evidence["scored"]["strict_joint"] == handmade.SCORED
    with pytest.raises(ValueError, match="parts_pairs: found 0, accepted is at least 1"):
        certify(parts_pairs=0)
    fewer = certify(parts_pairs=40, alone_pairs=10)
    scored = {name: fewer.evidence["scored"][name] // 3 for name in LATER}
    assert scored == dict.fromkeys(LATER, 40) | {"strict_node": 10, "strict_edge": 10}


def test_the_adversary_on_the_fewest_pairs_with_so_many_scored_positions():
    certificate = certify(parts_pairs=40, adversary_scored=100)
    scored = {name: certificate.evidence["scored"][name] for name in LATER}
    assert scored == dict.fromkeys(LATER, 40 * 3) | {"strict_adversarial": 34 * 3}
    assert certify(adversary_scored=10**9).evidence["scored"]["strict_adversarial"] == handmade.SCORED
    with pytest.raises(ValueError, match="adversary_scored: found 0, accepted is at least 1"):
        certify(adversary_scored=0)


def test_means_are_over_all_source_rows():
    """An off-circuit MLP adds 2 at x: its mean over all rows is 1 at positions 1 to 4, whatever the batches."""
    weights = parameters()
    weights["blocks.1.mlp.W_in"][TOKEN + 1, 0] = 1
    weights["blocks.1.mlp.W_out"][0, BIAS] = 2
    weights["unembed.W_U"][BIAS, 0] = 0.3
    weights["unembed.b_U"][0] = 0.5 - 0.3
    assert certify(weights, batch_size=100).joint_mean == 1.0
    weights["unembed.W_U"][BIAS, 0] = 0.9
    assert certify(weights, batch_size=100).joint_mean == 0.5


def test_means_are_of_sources_alone():
    """One base, all sources: an off-circuit MLP that adds 2 at x has the mean 1, and 0 among the bases."""
    weights = parameters()
    weights["blocks.1.mlp.W_in"][TOKEN + 1, 0] = 1
    weights["blocks.1.mlp.W_out"][0, BIAS] = 2
    pairs = HeldOutPairs({name: tensor[:16] for name, tensor in handmade.evidence().items()}, CLASSES)
    assert len(pairs.base.unique(dim=0)) == 1
    mean = source_means(ReferenceModel(CONFIG, weights), pairs, 7)["m1"]
    assert mean[:, BIAS].tolist() == [0, 1, 1, 1, 1]


def test_off_the_circuit_positions_are_the_permuted_ones():
    model, pairs = ReferenceModel(CONFIG, parameters()), HeldOutPairs(handmade.evidence(), CLASSES)
    batch = Batch(model, pairs, source_means(model, pairs, 100))
    found = batch.values(Patch())["pos_embed"]
    assert torch.equal(found, parameters()["pos_embed.W_pos"][pairs.tensors["source_positions"]])
    assert not torch.equal(found, batch.source.outputs["pos_embed"])
    assert torch.equal(batch.values(Patch())["tok_embed"], batch.source.outputs["tok_embed"])


def test_changed_answers_are_scored_in_both_runs():
    """Where an interchange leaves no answer its target is 0, which is no change."""
    tensors = handmade.evidence()
    name = "indices->prev<q>"
    both = tensors["base_scored"] & tensors[f"do/{name}/scored"]
    different = tensors["base_target"] != tensors[f"do/{name}/target"]
    assert (different & ~both).any()
    assert torch.equal(HeldOutPairs(tensors, CLASSES).changed(name), different & both)


def test_no_off_circuit_parts():
    """Everything there is belongs to the circuit: nothing to measure, and the record says so."""
    config = dataclasses.replace(CONFIG, n_layers=1, n_heads=1)
    circuit = Circuit(config, {"all": ("a0.h0", "m0")}, dict.fromkeys(edges(config)))
    weights = {name: torch.zeros(shape) for name, shape in config.parameter_shapes().items()}
    tensors = {name: tensor for name, tensor in handmade.evidence().items() if not name.startswith("do/")}
    tensors |= {"do/all/target": tensors["base_target"], "do/all/scored": tensors["base_scored"]}
    certificate = certify(weights, circuit, tensors)
    nothing = [name for name in FIELDS[:-1] if name not in ("accuracy", "iia")]
    assert certificate.evidence["nothing_measured"] == nothing
    assert certificate.strict_node == certificate.joint_zero == 1.0
    assert certificate.worst("strict_node") is None


def test_subsets_are_drawn_once():
    subsets = draw_subsets(CIRCUIT, 100)
    assert subsets == draw_subsets(CIRCUIT, 100)
    assert len(set(subsets.values())) == 100
    assert all(len(bits) == 6 + 91 and "1" in bits for bits in subsets.values())
    config = dataclasses.replace(CONFIG, n_layers=1, n_heads=1)
    small = Circuit(config, {"all": ("a0.h0", "m0")}, dict.fromkeys(list(edges(config))[4:]))
    assert len(draw_subsets(small, 100)) == 15, "of four parts"


def _probed(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    """All the evidence, and the bases once more as inputs of another kind."""
    tensors = handmade.evidence()
    fields = {field: tensors[f"base_{field}"] for field in ("tokens", "target", "scored")}
    return tensors | {f"probe/again/{field}": tensor for field, tensor in {**fields, **changes}.items()}


def test_probes_are_reported():
    certificate = certify(tensors=_probed())
    assert certificate.details["probes"] == {
        "again": {"accuracy": 1.0, "circuit_alone": 1.0, "scored": handmade.SCORED}
    }
    found = {row[0]: row[1:] for row in rows(certificate)}
    assert found["again: accuracy"] == found["again: circuit_alone"] == ("1.00000", "", "reported", "")
    assert "probes" not in certify().details


def test_probes_are_no_bar():
    """Every target but one in four is the other class, and the model is certified all the same."""
    tensors = _probed()
    target, scored = tensors["probe/again/target"], tensors["probe/again/scored"].clone()
    scored[:, :4] = False
    wrong = torch.arange(handmade.PAIRS).unsqueeze(1) % 4 > 0
    certificate = certify(tensors=_probed(target=torch.where(wrong, 1 - target, target), scored=scored))
    assert certificate.certified
    assert certificate.details["probes"]["again"] == {"accuracy": 0.25, "circuit_alone": 0.25, "scored": 256}
    other = certify(tensors=handmade.evidence()).to_json()
    assert {**certificate.to_json()["details"], "probes": 0} == {**other["details"], "probes": 0}


def test_a_probes_circuit_alone():
    """Two off-circuit heads outvote the circuit: right are only answers that the row before has too."""
    weights = parameters()
    for head in (1, 2):
        copy_previous(weights, head, IS_X)
    weights["unembed.b_U"][0] = 1.5
    draw = torch.randperm(handmade.PAIRS, generator=torch.Generator().manual_seed(0))
    good = handmade.evidence()
    fields = {field: good[f"base_{field}"][draw] for field in ("tokens", "target", "scored")}
    probe = certify(weights, tensors=_probed(**fields)).details["probes"]["again"]
    agree = (fields["target"] == fields["target"].roll(1, 0))[fields["scored"]]
    assert 0.3 < agree.float().mean() < 0.7
    assert probe == {
        "accuracy": 1.0,
        "circuit_alone": pytest.approx(agree.double().mean().item()),
        "scored": handmade.SCORED,
    }
    for size in (1000, 31):
        assert certify(weights, tensors=_probed(tokens=fields["tokens"]), batch_size=size).details["probes"]


def test_probes_are_not_measured_where_the_rest_is_screened():
    weights = parameters()
    weights["unembed.b_U"][0] = 5
    assert "probes" not in certify(weights, tensors=_probed(), staged=True).details


def test_wrong_probes():
    good = _probed()
    scored = good["probe/again/scored"]
    missing = {name: tensor for name, tensor in good.items() if name != "probe/again/scored"}
    with pytest.raises(ValueError, match=r"probe/again/scored: found nothing, accepted is bool \[256, 5\]"):
        certify(tensors=missing)
    for changes, message in [
        ({"tokens": good["base_tokens"] + 3}, "probe/again/tokens: found 5, accepted is a token id from 0 to 2"),
        ({"tokens": good["base_tokens"].int()}, "probe/again/tokens: found int32"),
        ({"target": torch.full_like(good["base_target"], 2)}, "probe/again/target: found 2, accepted is a class"),
        ({"target": good["base_target"].float()}, "probe/again/target: found float32"),
        ({"scored": scored[:5]}, r"probe/again/scored: found bool \[5, 5\], accepted is bool \[256, 5\]"),
        ({"scored": scored.long()}, "probe/again/scored: found int64"),
    ]:
        with pytest.raises(ValueError, match=message):
            certify(tensors=_probed(**changes))


def _broken(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**handmade.evidence(), name: tensor}


def test_wrong_evidence():
    good = handmade.evidence()
    beyond = good["base_tokens"].clone()
    beyond[3, 1] = 3
    for tensors, message in [
        (
            {k: v for k, v in good.items() if k != "do/prev/scored"},
            r"do/prev/scored: found nothing, accepted is bool \[256, 5\]",
        ),
        (
            {k: v for k, v in good.items() if k != "source_positions"},
            "source_positions: found nothing, accepted is int64",
        ),
        (_broken("base_tokens", good["base_tokens"].int()), r"base_tokens: found int32 \[256, 5\], accepted is int64"),
        (_broken("base_scored", good["base_scored"][:9]), r"base_scored: found bool \[9, 5\], accepted is bool \[256"),
        (_broken("base_target", good["base_target"].float()), r"base_target: found float32 .* accepted is int64"),
        (_broken("base_tokens", beyond), "base_tokens: found 3, accepted is a token id from 0 to 2"),
        (_broken("do/prev/target", good["base_target"] - 1), "do/prev/target: found -1, accepted is a class"),
        (
            _broken("source_positions", good["source_positions"] + 1),
            "source_positions: found 5, accepted is a position",
        ),
        (
            _broken("do/indices->prev<q>/source_positions", good["source_positions"].float()),
            "do/indices->prev<q>/source_positions: found float32",
        ),
        (dict.fromkeys(good, torch.zeros(0, 5)), "accepted is .*, at least one pair"),
        (dict.fromkeys(good, torch.zeros(())), "accepted is .*, at least one pair"),
    ]:
        with pytest.raises(ValueError, match=message):
            certify(tensors=tensors)


def test_wrong_weights():
    good = parameters()
    spoiled = {**good, "unembed.W_U": torch.full((11, 2), float("nan"))}
    for weights, message in [
        ({k: v for k, v in good.items() if k != "embed.W_E"}, "parameters: missing embed.W_E"),
        ({**good, "ln_final.w": torch.ones(11)}, "parameters: found ln_final.w, accepted are"),
        ({**good, "unembed.b_U": torch.zeros(3)}, r"unembed.b_U: found float32 \[3\], accepted is float32 or float64"),
        ({**good, "unembed.b_U": torch.zeros(2).half()}, r"unembed.b_U: found float16 \[2\]"),
        ({**good, "unembed.b_U": torch.zeros(2).double()}, "unembed.b_U: found torch.float64 on cpu, accepted is that"),
        (spoiled, "unembed.W_U: found 22 values that are NaN or infinite"),
    ]:
        with pytest.raises(ValueError, match=message):
            certify(weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": Answers("numerical", 0.1)}, "d_vocab_out: found 2, accepted is 1 for numerical"),
        ({"subsets": 0}, "subsets: found 0, accepted is at least 1"),
        ({"batch_size": 0}, "batch_size: found 0, accepted is at least 1"),
    ],
)
def test_wrong_arguments(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        certify(**changes)


@pytest.mark.parametrize(
    ("output", "tolerance", "message"),
    [
        ("numerical", None, "tolerance: found None, accepted is a positive number"),
        ("categorical", 0.1, "tolerance: found 0.1, accepted is None where outputs are classes"),
    ],
)
def test_answers_that_cannot_be(output: Any, tolerance: float | None, message: str):
    with pytest.raises(ValueError, match=message):
        Answers(output, tolerance)


def test_labels_of_another_architecture():
    other = Circuit(dataclasses.replace(CONFIG, n_ctx=6), CIRCUIT.alignment, CIRCUIT.carries)
    with pytest.raises(ValueError, match="circuit: found labels of ModelConfig"):
        measure(CONFIG, parameters(), other, handmade.evidence(), answers=Answers("categorical", None))


def test_logits_that_overflow_are_wrong():
    weights = parameters()
    weights["unembed.W_U"][PREV] = 3e38
    weights["embed.W_E"][:, PREV] = 3e38
    assert not ReferenceModel(CONFIG, weights).run(handmade.evidence()["base_tokens"]).logits.isfinite().any()
    certificate = certify(weights)
    assert certificate.accuracy == 0.0 and not certificate.certified


def test_how_many_pairs_are_enough():
    """As few as have so many scored positions; all where none are asked for, or none are left."""
    scored = torch.zeros(3000, 2, dtype=torch.bool)
    scored[:, 1] = True
    tensors = {"base_tokens": torch.zeros(3000, 2, dtype=torch.int64), "base_scored": scored}
    held = HeldOutPairs(tensors, Answers("categorical", None))
    found = {count: held.enough(count) for count in (0, 1, 1024, 1025, 2048, 2049, 9999)}
    assert found == {0: 3000, 1: 1, 1024: 1024, 1025: 1025, 2048: 2048, 2049: 2049, 9999: 3000}
    assert held.first(1024).pairs == 1024
