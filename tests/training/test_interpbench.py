"""A published case becomes a bundle whose certificate says what its labels are worth."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

import siit
from siit import certify
from siit.bundle import Bundle, BundleError
from siit.causal import CausalModel, Inputs
from siit.graph.architecture import Edge
from siit.interpbench import PublishedCase
from siit.training.interpbench import _labels, _renumbered, _task, import_interpbench
from siit.training.rasp import task_from_case
from siit.training.rasp.from_rasp import build_causal_model
from siit.transformer import Transformer
from tests.builders.programs import config_for, own
from tests.builders.published import EDGES, X, write
from tracr_cases import get

ALIGNMENT = {"is_x": ["m0"], "frac_prevs": ["a1.h2"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("InterpBench") / "3")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return siit.import_interpbench(folder)


@pytest.mark.slow
@pytest.mark.ci
def test_true_labels_are_certified(bundle: Bundle):
    assert (bundle.case, bundle.seed) == ("interpbench-3", 67)
    assert {unit: list(nodes) for unit, nodes in bundle.circuit.alignment.items()} == ALIGNMENT
    assert {str(edge): name for edge, name in bundle.circuit.carries.items()} == {
        "tok_embed->m0": "tokens->is_x",
        "m0->a1.h2<v>": "is_x->frac_prevs<v>",
        "pos_embed->a1.h2<q>": "indices->frac_prevs<q>",
        "pos_embed->a1.h2<k>": "indices->frac_prevs<k>",
        "a1.h2->logits": "frac_prevs->output",
    }
    assert bundle.certificate["failed"] == []
    assert bundle.certificate["certified"]


@pytest.mark.slow
def test_tokens_are_renumbered(bundle: Bundle):
    assert bundle.vocab.tokens == ("a", "b", "c", "x", "BOS", "PAD")
    assert (bundle.vocab.bos_id, bundle.vocab.pad_id) == (4, 5)
    # One-hot rows: those of Tracr's numbers.
    assert bundle.parameters["embed.W_E"].argmax(1).tolist() == [2, 3, 4, X, 0, 1]
    assert bundle.evidence["base_tokens"].shape[1] == 5
    assert bundle.vocab.pad_id not in bundle.evidence["base_tokens"], "all sequences have one length"


@pytest.mark.slow
def test_it_is_a_bundle_like_any_other(folder: Path, bundle: Bundle, tmp_path: Path):
    import_interpbench(folder, tmp_path)
    assert certify.main([str(tmp_path / "interpbench-3/seed-67")]) == 0
    loaded = siit.load(tmp_path, "interpbench-3", 67)
    tokens = loaded.vocab.encode(["x", "a", "x", "x"], 5).unsqueeze(0)
    expected = CausalModel.from_json(bundle.causal_model).run(Inputs(tokens)).output[0, 1:]
    torch.testing.assert_close(loaded.model(tokens)[0, 1:, 0], expected)
    assert "strict_weight" in loaded.bundle.train_yaml


@pytest.mark.slow
def test_a_label_that_is_missing_fails_at_that_edge(tmp_path: Path):
    """As in the peer's own labels: the head is in the circuit, but not all of what it reads."""
    edges = [edge for edge in EDGES if edge != ("hook_pos_embed", "blocks.1.hook_k_input[2]")]
    bundle = import_interpbench(write(tmp_path / "3", edges=edges))
    certificate = bundle.certificate
    assert not certificate["certified"]
    strict = certificate["details"]["strict_edge"]
    assert [edge for edge, share in strict.items() if share < 0.999] == ["pos_embed->a1.h2<k>"]
    assert (certificate["accuracy"], certificate["iia"], certificate["strict_node"]) == (1, 1, 1)
    assert any(line.startswith("strict_edge") and "pos_embed->a1.h2<k>" in line for line in certificate["failed"])


@pytest.mark.slow
def test_labels_beyond_the_program_carry_nothing(tmp_path: Path):
    edges = [*EDGES, ("hook_embed", "blocks.1.hook_k_input[2]")]
    bundle = import_interpbench(write(tmp_path / "3", edges=edges))
    carried = {str(edge): name for edge, name in bundle.circuit.carries.items()}
    assert carried["tok_embed->a1.h2<k>"] is None
    assert "tok_embed->a1.h2<k>" not in bundle.certificate["details"]["strict_edge"]


@pytest.mark.slow
def test_a_wrong_head_in_the_labels(tmp_path: Path):
    """InterpBench's file for this task names head 0, where head 2 was trained."""
    edges = [(sender.replace("[2]", "[0]"), receiver.replace("[2]", "[0]")) for sender, receiver in EDGES]
    certificate = import_interpbench(write(tmp_path / "3", edges=edges)).certificate
    assert certificate["details"]["strict_node"]["a1.h2"] < 0.5
    assert certificate["effect"]["nodes"]["a1.h0"] == 0
    assert certificate["accuracy"] == 1


@pytest.mark.slow
def test_an_alignment_that_is_given(tmp_path: Path):
    """Two heads for one variable; the second one does nothing."""
    edges = [*EDGES, ("blocks.0.hook_mlp_out", "blocks.1.hook_v_input[1]")]
    case = write(tmp_path / "case", edges=edges)
    bundle = import_interpbench(case, case="frac_prevs", alignment={"is_x": ["m0"], "frac_prevs": ["a1.h1", "a1.h2"]})
    assert bundle.certificate["effect"]["nodes"]["a1.h1"] == 0
    assert bundle.circuit.alignment["frac_prevs"] == ("a1.h1", "a1.h2")
    assert bundle.case == "interpbench-3"
    with pytest.raises(ValueError, match=r"found no variable on the published nodes a1\.h1, accepted is alignment="):
        import_interpbench(case, case="frac_prevs", alignment=ALIGNMENT)


def test_what_cannot_be_placed(tmp_path: Path):
    edges = [edge for edge in EDGES if "mlp" not in edge[0] + edge[1]]
    with pytest.raises(ValueError, match="is_x needs the MLP of layer 0, found none in the labels; accepted"):
        import_interpbench(write(tmp_path / "3", edges=edges))


@pytest.mark.slow
def test_lengths_of_ones_own(folder: Path):
    bundle = import_interpbench(folder, min_len=3)
    assert bundle.vocab.pad_id in bundle.evidence["base_tokens"]
    assert bundle.certificate["accuracy"] == 1


@pytest.mark.slow
@pytest.mark.ci
def test_classes_are_renumbered():
    """Tracr sorts tokens and classes; ours are in the order of the vocabulary."""
    program = own(get("first_token_everywhere").make, vocab="cab", max_len=4)
    model = build_causal_model(program)
    config = config_for(task_from_case(program, model))
    drawn = Transformer(config, seed=0).state_dict()
    found, classes = _renumbered(PublishedCase(config, drawn, (), {}), program, model)
    assert classes == model.classes == ("c", "a", "b")
    assert torch.equal(found["unembed.W_U"], drawn["unembed.W_U"][:, [2, 0, 1]])
    assert torch.equal(found["unembed.b_U"], drawn["unembed.b_U"][[2, 0, 1]])
    # Tracr's tokens: BOS, PAD, a, b, c.
    assert torch.equal(found["embed.W_E"], drawn["embed.W_E"][[4, 2, 3, 0, 1]])
    small = dataclasses.replace(config, d_vocab_out=2)
    with pytest.raises(ValueError, match="d_vocab_out: found 2, accepted is 3, as Tracr gives the program"):
        _renumbered(PublishedCase(small, drawn, (), {}), program, model)


def test_what_never_changes_is_taken_out():
    """All sequences have one length, so the nodes that hold it cannot be tested."""
    task = _task(dataclasses.replace(get("reverse"), max_len=5), None)
    edges = (
        Edge("tok_embed", "a0.h0", "k"),
        Edge("a0.h0", "m0"),
        Edge("m0", "m1"),
        Edge("pos_embed", "m1"),
        Edge("m1", "a2.h3", "q"),
        Edge("pos_embed", "a2.h3", "k"),
        Edge("tok_embed", "a2.h3", "v"),
        Edge("a2.h3", "logits"),
    )
    circuit = _labels(task, PublishedCase(config_for(task), {}, edges, {}), None).circuit
    assert circuit.alignment == {"mirrored": ("m1",), "reverse": ("a2.h3",)}
    assert tuple(circuit.carries) == edges[3:]
    assert None not in circuit.carries.values()
    assert circuit.excluded["length"].startswith("its value is the same in all")
    assert [name for name in circuit.excluded if name.startswith("published edge ")] == [
        "published edge tok_embed->a0.h0<k>",
        "published edge a0.h0->m0",
        "published edge m0->m1",
    ]


def test_a_seed_that_is_none(tmp_path: Path):
    with pytest.raises(BundleError, match=r"^meta\*\.json: seed: found 'many', accepted is a whole number"):
        import_interpbench(write(tmp_path / "3", meta={"seed": "many"}))


def test_no_such_program(folder: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="found a folder named 'ioi', accepted are the InterpBench ids 1, 2, 3, "):
        import_interpbench(write(tmp_path / "ioi"))
    with pytest.raises(ValueError, match="case: found 'frac', accepted: "):
        import_interpbench(folder, case="frac")


def test_another_programs_model(folder: Path):
    with pytest.raises(ValueError, match="d_vocab: found 6, accepted is 12, as Tracr gives the program"):
        import_interpbench(folder, case="first_token_everywhere", alignment={"first_token_everywhere": ["m0", "a1.h2"]})


def test_without_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(
        ImportError, match=r"^import_interpbench: found no jax, accepted is what the extra 'train' installs"
    ):
        import_interpbench(folder)
