"""Effects: worked out by hand, and against the model that is trained, which shares no code with the measurement."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from siit.bundle import Bundle
from siit.show.effects import REPLACEMENTS, Replacement, measure_effects
from siit.transformer import BatchPatch, PatchPoints, Transformer
from tests.builders import handmade
from tests.builders.shown import random_bundle


def test_by_hand():
    """A bit of the source is another than the base's in half of all pairs."""
    bundle = handmade.bundle()
    effects = measure_effects(bundle)
    half = {"tok_embed", "m0", "a1.h0"}
    assert {node: value for node, value in effects.nodes.items() if value and node != "pos_embed"} == dict.fromkeys(
        half, 0.5
    )
    shares = {str(edge): value for edge, value in effects.edges.items() if value}
    moved = {"pos_embed->a1.h0<q>", "pos_embed->a1.h0<k>"}
    assert shares.keys() == {str(edge) for edge in bundle.circuit.carries}
    assert {shares[edge] for edge in shares.keys() - moved} == {0.5}
    assert (effects.pairs, effects.scored, effects.permuted) == (256, 768, True)


def test_zero_by_hand():
    """Without x's, all answers that are true change: half of them."""
    effects = measure_effects(handmade.bundle(), replacement="zero")
    assert effects.nodes["m0"] == effects.nodes["a1.h0"] == effects.nodes["tok_embed"] == 0.5
    assert effects.nodes["a0.h0"] == 0


@pytest.mark.parametrize("numerical", [False, True])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_against_the_trained_model(numerical: bool, replacement: Replacement):
    bundle = random_bundle(numerical=numerical)
    effects = measure_effects(bundle, replacement=replacement)
    expected_nodes, expected_edges = _by_transformer(bundle, replacement)
    assert effects.nodes == pytest.approx(expected_nodes)
    assert {str(edge): value for edge, value in effects.edges.items()} == pytest.approx(expected_edges)
    assert len({*effects.edges.values()}) > 5


def _by_transformer(bundle: Bundle, replacement: Replacement) -> tuple[dict[str, float], dict[str, float]]:
    model = Transformer(bundle.config)
    model.load_state_dict(dict(bundle.parameters))
    evidence, points = bundle.evidence, PatchPoints(bundle.circuit)
    base, scored = evidence["base_tokens"], evidence["base_scored"]
    size = len(base)

    @torch.no_grad()
    def answers(nodes: Tensor, edges: Tensor) -> Tensor:
        source = model.run(evidence["source_tokens"]).senders
        source[1] = model.pos_embed.W_pos[evidence["source_positions"]]
        values = source if replacement == "source" else [torch.zeros_like(output) for output in source]
        patch = BatchPatch(points, nodes[:, None].expand(-1, size), edges[:, None].expand(-1, size), values, values)
        return model(base, patch=patch)

    none = torch.zeros(len(points.senders), dtype=torch.bool), torch.zeros(len(points.edges), dtype=torch.bool)
    clean = answers(*none)

    def share(logits: Tensor) -> float:
        if bundle.answers.tolerance is None:
            moved = logits.argmax(-1) != clean.argmax(-1)
        else:
            moved = (logits - clean)[..., 0].abs() > bundle.answers.tolerance
        return float(moved[scored].float().mean())

    one_node, one_edge = torch.eye(len(none[0])).bool(), torch.eye(len(none[1])).bool()
    return (
        {node: share(answers(mask, none[1])) for node, mask in zip(points.senders, one_node, strict=True)},
        {
            str(edge): share(answers(none[0], mask))
            for edge, mask in zip(points.edges, one_edge, strict=True)
            if {edge.sender, edge.receiver} <= {*bundle.circuit.members}
        },
    )


def test_fewer_pairs_are_the_same_ones_each_time():
    bundle = handmade.bundle()
    effects = measure_effects(bundle, pairs=20)
    assert (effects.pairs, effects.scored) == (20, 60)
    assert effects == measure_effects(bundle, pairs=20)
    assert 0.2 < effects.nodes["m0"] < 0.8


def test_positions_of_an_exchange_where_no_other_are_there():
    """Evidence needs no permuted positions of its own where every edge from pos_embed is on the circuit."""
    bundle = handmade.bundle()
    off = {edge: None for edge in bundle.circuit.off_edges if edge.sender == "pos_embed"}
    circuit = dataclasses.replace(
        bundle.circuit,
        alignment={**bundle.circuit.alignment, "rest": tuple(bundle.circuit.off_nodes)},
        carries={**bundle.circuit.carries, **off},
    )
    evidence = {name: tensor for name, tensor in bundle.evidence.items() if name != "source_positions"}
    evidence |= {f"do/rest/{field}": evidence[f"base_{field}"] for field in ("target", "scored")}
    effects = measure_effects(dataclasses.replace(bundle, circuit=circuit, evidence=evidence))
    assert effects.permuted and effects.nodes["pos_embed"] > 0.1
    still = {name: tensor for name, tensor in evidence.items() if not name.endswith("source_positions")}
    effects = measure_effects(dataclasses.replace(bundle, circuit=circuit, evidence=still))
    assert not effects.permuted and effects.nodes["pos_embed"] == 0


def test_errors():
    bundle = handmade.bundle()
    with pytest.raises(ValueError, match="pairs: found 0, accepted is at least 1"):
        measure_effects(bundle, pairs=0)
    unscored = {**bundle.evidence, "base_scored": torch.zeros(256, 5, dtype=torch.bool)}
    with pytest.raises(ValueError, match="pairs: found no scored answer in 3 pairs"):
        measure_effects(dataclasses.replace(bundle, evidence=unscored), pairs=3)
