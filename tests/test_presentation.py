"""What a loaded model looks like: ten lines of text, a page in a notebook, pictures."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

import siit
from siit import presentation
from siit.certificate.fields import KINDS
from siit.graph.picture import Part, draw
from siit.interop.tokenizer import has_words
from siit.loading import LoadedCircuit
from siit.show.drawing import Drawing
from tests.builders import handmade
from tests.builders.bundles import make_bundle
from tests.builders.shown import EVIL, evil_bundle, large_circuit

CASE = "previous_is_x"
LINES = 12


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundle")
    handmade.put(root)
    return root


@pytest.fixture(scope="module")
def model(root: Path) -> siit.LoadedModel:
    return siit.load(root, CASE)


def test_a_model_in_ten_lines(model: siit.LoadedModel):
    lines = str(model).splitlines()
    assert len(lines) <= LINES and max(map(len, lines)) <= 120
    assert lines[0] == "LoadedModel previous_is_x, seed 0, certified"
    for words in (
        "tier      composed",
        "4 of 2 tokens: 'a', 'x'",
        "2 classes: False, True",
        "2 layers of 3 heads, d_model 11, causal, no normalization",
        "1 head, 1 MLP, 5 edges",
        "every share is 1",
        ".show()",
    ):
        assert any(words in line for line in lines), words


def test_how_to_go_on_works(model: siit.LoadedModel):
    example = re.search(r"\.predict\((.*?)\)", str(model))
    assert example is not None
    assert eval(f"model.predict({example[1]})", {"model": model})[0] is None


def test_labels_without_weights(root: Path):
    shown = str(siit.load_circuit(root, CASE))
    assert shown.startswith("LoadedCircuit previous_is_x, seed 0, certified\n") and len(shown.splitlines()) <= LINES


def test_what_does_not_hold_is_said(model: siit.LoadedModel):
    failed = ["strict_edge: 0.75 is 0.249 below its bar"] * 5
    certificate = {**model.certificate, "certified": False, "failed": failed}
    bundle = dataclasses.replace(model.bundle, certificate=certificate)
    shown = str(dataclasses.replace(model, bundle=bundle))
    assert "NOT certified" in shown and f"{failed[0]}; {failed[0]}; {failed[0]}; and 2 more" in shown


def test_the_worst_shares_are_said(model: siit.LoadedModel):
    edges = {"m0->a1.h1<q>": 0.9995, "m0->m1": 1.0}
    by_kind = {**model.certificate["details"]["by_kind"], "strict_edge": dict.fromkeys(KINDS, edges)}
    details = {**model.certificate["details"], "strict_edge": edges, "by_kind": by_kind}
    certificate = {**model.certificate, "strict_edge": 0.9995, "details": details}
    shown = presentation.facts(dataclasses.replace(model.bundle, certificate=certificate))[-1]
    assert shown == ("measured", "strict_edge 0.99950 (m0->a1.h1<q>), all others are 1")


def test_a_page_in_a_notebook(model: siit.LoadedModel, monkeypatch: pytest.MonkeyPatch):
    page = model._repr_html_()
    assert "data:image/png;base64," in page and "certified" in page
    for field in ("strict_edge", "joint_zero", "effect: nodes"):
        assert f">{field}</td>" in page
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    without = model._repr_html_()
    assert "<pre>" in without and "a1.h0" in without and "data:image" not in without


def test_texts_are_never_markup(model: siit.LoadedModel):
    bundle = evil_bundle()
    shown = LoadedCircuit(causal_model=model.causal_model, bundle=bundle)
    for text in (repr(shown), shown._repr_html_()):
        assert "\x1b" not in text
    assert "<script" not in shown._repr_html_() and EVIL not in shown._repr_html_()


def test_short_forms(model: siit.LoadedModel):
    assert repr(model.circuit) == "Circuit(5 edges; is_x: m0; prev: a1.h0)"
    assert repr(model.causal_model) == (
        "CausalModel(2 tokens, up to 4: is_x = table(tokens), prev = aggregate(q indices; k indices; v is_x))"
    )
    assert repr(model.bundle).startswith("Bundle(previous_is_x, seed 0, certified: 28 tensors of weights, ")
    assert len(repr(large_circuit())) < 200


def test_a_circuit_as_text(model: siit.LoadedModel):
    assert [" ".join(line.split()) for line in str(model.circuit).splitlines()] == [
        "[ logits ] <- a1.h0",
        "layer 1 [ a1.h0 prev ] <- q,k pos_embed v m0",
        "layer 0 [ m0 is_x ] <- tok_embed",
        "[ pos_embed ]",
        "[ tok_embed ]",
    ]
    assert all(node in str(large_circuit()) for node in large_circuit().members)


def test_parts_that_are_read_in_several_slots():
    assert draw([Part("b", 1, {"v": ["a"], "q": ["c", "a"], "k": ["a"]})]) == "  layer 1  [ b ]  <-  q c, a   k,v a"


def test_the_circuits_picture(model: siit.LoadedModel, tmp_path: Path):
    pytest.importorskip("matplotlib")
    picture = model.circuit.plot("mine")
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "circuit.png").read_bytes() == picture.png
    assert "mine" in repr(picture) and len(repr(picture)) < 100


def test_show(model: siit.LoadedModel, tmp_path: Path):
    pytest.importorskip("matplotlib")
    drawing = model.show(tmp_path / "out", tokens=["x", "a", "x", "a"], pairs=2)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(drawing.files)
    assert b"tokens given" in drawing.files["index.html"]
    assert isinstance(drawing, Drawing) and drawing._repr_html_().startswith("<iframe srcdoc=")
    assert 'srcdoc="<' not in drawing._repr_html_()
    assert drawing.picture("effects").png == drawing.files["effects.png"]
    assert len(repr(drawing)) < 200


def test_without_matplotlib(model: siit.LoadedModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"^Circuit.plot: found no matplotlib, accepted is what the extra 'show'"):
        model.circuit.plot()
    with pytest.raises(ImportError, match="the extra 'show'"):
        model.show()


def test_tokens_that_look_alike_are_no_words():
    vocab = make_bundle().vocab
    assert has_words(make_bundle())
    for tokens in (("a", "b", 0, "0", "PAD"), ("a", "b c", 0, "BOS", "PAD"), ("a", "", 0, "BOS", "PAD")):
        assert not has_words(make_bundle(vocab=dataclasses.replace(vocab, tokens=tokens)))
