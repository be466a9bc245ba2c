"""`LoadedModel.predict`: tokens in, classes or numbers out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch

import siit
from siit.bundle import Bundle, Vocab
from siit.causal import CausalModel, Linear, Table, Variable
from siit.certificate import Answers
from siit.graph.architecture import ModelConfig
from siit.prediction import predict
from siit.transformer import Transformer
from tests.builders import handmade
from tests.builders.bundles import make_bundle

WORDS = ("go", "Mary", "John", "to", "BOS", "PAD")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> siit.LoadedModel:
    """Was the token before this one an x? Undefined at the first token."""
    root = tmp_path_factory.mktemp("bundle")
    handmade.put(root)
    return siit.load(root, "previous_is_x")


def test_classes(model: siit.LoadedModel):
    assert model.predict(["x", "a", "x", "x"]) == [None, True, False, True]
    assert model.predict(("a", "a", "x", "a")) == [None, False, False, True]


def test_a_batch(model: siit.LoadedModel):
    rows = [["x", "a", "x", "x"], ["a", "a", "x", "a"], ["x", "x", "x", "x"]]
    assert model.predict(rows) == [model.predict(row) for row in rows]
    assert model.predict([rows[0]]) == [model.predict(rows[0])]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["x", "a", "x"], "^inputs: found 3 tokens, accepted are exactly 4$"),
        (["x"] * 5, "^inputs: found 5 tokens, accepted are exactly 4$"),
        ([], "^inputs: found 0 tokens, accepted are exactly 4$"),
        (["x", "a", "y", "x"], "^inputs: found 'y', which is no token; accepted are 'a', 'x'$"),
        (["x", "a", 1, "x"], "^inputs: found 1, which is no token"),
        (["x", "a", None, "x"], "^inputs: found None, which is no token"),
        (["x", "a", ["x"], "x"], r"^inputs: found \['x'\], which is no token"),
        (["x", "a", "BOS", "x"], "^inputs: found 'BOS', which is no token"),
        ([["x", "a", "x", "x"], ["x"]], "^inputs: found 1 tokens"),
        ("xaxx", r"^inputs: found the text 'xaxx', accepted is a list of tokens: \['a', 'x'\]$"),
        (7, "^inputs: found int, accepted is a list of tokens"),
    ],
)
def test_inputs_that_cannot_be(model: siit.LoadedModel, inputs: Any, message: str):
    with pytest.raises(ValueError, match=message):
        model.predict(inputs)


def bundle_of(vocab: Vocab, causal: CausalModel, output: str = "categorical", **files: bytes) -> Bundle:
    """A bundle of two layers for this vocabulary."""
    numerical = output == "numerical"
    config = ModelConfig(
        n_layers=1,
        n_heads=1,
        d_model=8,
        d_head=4,
        d_mlp=8,
        n_ctx=causal.max_len + 1,
        d_vocab=len(vocab.tokens),
        d_vocab_out=1 if vocab.classes is None else len(vocab.classes),
        normalization_type=None,
    )
    answers = Answers("numerical", 0.05) if numerical else Answers("categorical", None)
    extra = {f"{name}.json": content for name, content in files.items()}
    return dataclasses.replace(
        make_bundle(), config=config, vocab=vocab, answers=answers, causal_model=causal.to_json(), extra_files=extra
    )


def test_numbers_and_shorter_inputs():
    """Padding is filled in, and no answer is given for it; numbers are the one logit."""
    number = Variable("number", None, Table(("tokens",), torch.tensor([0.0, 1.0, float("nan")])))
    half = Variable("half", None, Linear(("number",), (0.5,)))
    bundle = bundle_of(Vocab((1, "1", "BOS", "PAD"), 2, 3, None), CausalModel((1, "1"), 3, [number, half]), "numerical")
    model = Transformer(bundle.config, seed=0)
    logits = model(torch.tensor([[2, 1, 0, 3], [2, 0, 3, 3]]))[..., 0]
    causal = CausalModel.from_json(bundle.causal_model)
    assert predict(model, bundle, causal, [["1", 1], [1]]) == [logits[0, 1:3].tolist(), logits[1, 1:2].tolist()]
    with pytest.raises(ValueError, match=r"^inputs: found 4 tokens, accepted are 1 to 3$"):
        predict(model, bundle, causal, [1, 1, 1, 1])


def test_logits_that_are_not_finite():
    answer = Variable("same", (1, 2), Table(("tokens",), torch.tensor([0, 1, -1])))
    bundle = bundle_of(Vocab((1, 2, "BOS", "PAD"), 2, 3, (1, 2)), CausalModel((1, 2), 3, [answer]))
    model = Transformer(bundle.config, seed=0)
    with torch.no_grad():
        model.unembed.b_U.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"^answers: found logits that are not finite"):
        predict(model, bundle, CausalModel.from_json(bundle.causal_model), [1, 2])


@pytest.fixture(scope="module")
def sentences() -> tuple[Transformer, Bundle, CausalModel]:
    """A model that takes sentences of four words; the answer, at the last word, is that word."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, "BOS"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="BOS $A", special_tokens=[("BOS", 4)])
    words = WORDS[:4]
    same = Variable("same", words, Table(("tokens",), torch.tensor([0, 1, 2, 3, -1])))
    bundle = bundle_of(
        Vocab(WORDS, 4, 5, words), CausalModel(words, 5, [same], "last"), tokenizer=tokenizer.to_str().encode()
    )
    return Transformer(bundle.config, seed=0), bundle, CausalModel.from_json(bundle.causal_model)


def test_a_sentence(sentences: tuple[Transformer, Bundle, CausalModel]):
    sentence = "Mary go to John"
    *before, last = predict(*sentences, sentence)
    assert before == [None] * 3 and last in WORDS[:4]
    assert predict(*sentences, sentence) == predict(*sentences, sentence.split())
    assert predict(*sentences, [sentence, "John go"]) == [predict(*sentences, sentence), predict(*sentences, "John go")]
    assert predict(*sentences, ["John", "go"]) == predict(*sentences, "John go")
    with pytest.raises(ValueError, match=r"^inputs: found 'Marry', which is no token; did you mean 'Mary'\? accepted"):
        predict(*sentences, "go to Marry")
    with pytest.raises(ValueError, match=r"^inputs: found 6 tokens, accepted are 1 to 5$"):
        predict(*sentences, "to to to to to to")


def test_from_a_path_and_on(tmp_path: Path):
    handmade.put(tmp_path)
    assert siit.load(tmp_path, "previous_is_x").predict(["x", "x", "a", "a"]) == [None, True, True, False]
