"""The example: its answers in words, its tokens from a text, and its patterns."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from siit.bundle import Vocab
from siit.show.example import evidence_example, own_example, parse_tokens
from siit.show.words import in_words, share, short
from tests.builders import handmade
from tests.builders.shown import large_bundle, random_bundle


def test_of_the_evidence():
    bundle = handmade.bundle()
    example = evidence_example(bundle, 16 * 0b0110)
    assert example.tokens == ("BOS", "a", "x", "x", "a")
    assert example.special == (True, False, False, False, False)
    assert example.right == (None, None, "False", "True", "True") == example.found
    assert not any(example.wrong)
    (pattern,) = example.patterns.values()
    assert pattern.shape == (5, 5)
    assert torch.allclose(pattern[1:].diagonal(), torch.ones(4), atol=1e-3)  # the position before


def test_of_ones_own_is_answered_by_the_causal_model():
    bundle = handmade.bundle()
    example = own_example(bundle, "x,a,x,x")
    assert example.tokens == ("BOS", "x", "a", "x", "x")
    assert example.right[2:] == ("True", "False", "True") == example.found[2:]
    weights = handmade.parameters()
    weights["unembed.b_U"][0] = 5
    example = own_example(dataclasses.replace(bundle, parameters=weights), "x,a,x,x")
    assert example.found[2:] == ("False", "False", "False")
    assert example.wrong[2:] == (True, False, True)


def test_numbers_are_as_fine_as_the_tolerance_asks():
    bundle = random_bundle(numerical=True)
    target = torch.full_like(bundle.evidence["base_target"], -1e-5)
    evidence = {**bundle.evidence, "base_target": target}
    example = evidence_example(dataclasses.replace(bundle, evidence=evidence), 0)
    assert example.right == (None, "0.000", "0.000", "0.000", None)
    assert example.tokens[-1] == "PAD" and example.special[-1]


def test_of_the_right_index():
    with pytest.raises(ValueError, match="example: found 256, accepted are 0 to 255, the pairs of the evidence"):
        evidence_example(handmade.bundle(), 256)


def test_tokens_from_a_text():
    vocab = large_bundle().vocab
    assert parse_tokens("giraffe, a,7.5,True", vocab) == ["giraffe", "a", 7.5, True]
    assert [*map(repr, parse_tokens('["7", 7, true, "日本"]', vocab))] == ["'7'", "7", "True", "'日本'"]
    assert parse_tokens("[]", vocab) == []
    assert parse_tokens("giraffe a  7.5", vocab) == ["giraffe", "a", 7.5]
    sentence = Vocab(("So", ",", "Ann", "BOS"), 3, None, None)
    assert parse_tokens("So , Ann", sentence) == ["So", ",", "Ann"]
    brackets = Vocab(("[", "]", " a", "BOS"), 3, None, None)
    assert parse_tokens("[,]", brackets) == ["[", "]"]
    assert parse_tokens(" a,a", brackets) == [" a", " a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,zebra", "tokens: found 'zebra', accepted are 'giraffe', 'elephant'"),
        ("BOS", "tokens: found 'BOS', accepted are"),
        ("7", r"tokens: found '7' \(7 or '7'\? a JSON list tells\), accepted are"),
        ('[{"a": 1}]', "tokens: found {'a': 1}, accepted are"),
        ("a," * 30 + "a", "tokens: found 31, accepted are at most 23"),
    ],
)
def test_tokens_that_the_model_does_not_know(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        own_example(large_bundle(), text)


def test_words():
    assert [*map(in_words, ("x", " the", "", None, 1.5))] == ["x", "' the'", "''", "None", "1.5"]
    assert [*map(share, (0.0, 0.001, 0.5, 0.999, 1.0))] == ["0", "<1", "50", ">99", "100"]
    assert short("abcdef\n", 4) == "abc…" and short("a\x1b", 4) == "a\N{REPLACEMENT CHARACTER}"
