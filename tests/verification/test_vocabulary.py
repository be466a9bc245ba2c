"""Words: the bundle's own tokenizer gives the ids of its vocabulary, or none is there."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from siit.bundle import Bundle, read_bundle
from siit.causal import CausalModel
from siit.verification.declared import declared_task
from siit.verification.vocabulary import tokenizer_findings
from tests.builders import handmade

IOI = Path(__file__).parents[2] / "checkpoints" / "ioi" / "seed-0"


@functools.cache
def sentences() -> Bundle:
    return read_bundle(IOI, weights=False, evidence=False)


def with_tokenizer(change: Callable[[dict[str, Any]], object], bundle: Bundle | None = None) -> list[str]:
    """What is said of `ioi` with its tokenizer changed."""
    bundle = bundle or sentences()
    content = json.loads(sentences().extra_files["tokenizer.json"])
    change(content)
    files = {**bundle.extra_files, "tokenizer.json": json.dumps(content).encode()}
    task = declared_task(bundle, CausalModel.from_json(bundle.causal_model), None)
    return list(tokenizer_findings(dataclasses.replace(bundle, extra_files=files), task))


def test_a_tokenizer_gives_the_ids_of_the_vocabulary():
    assert with_tokenizer(lambda content: None) == []
    (line,) = with_tokenizer(lambda content: content["model"]["vocab"].update(Mary=0))
    assert line == "tokenizer.json: found id 0 for Mary, accepted are the ids of vocab.json"
    (line,) = with_tokenizer(lambda content: content["added_tokens"][0].update(content="Mary"))
    assert line.startswith("tokenizer.json: found id 423 for Mary")
    (line,) = with_tokenizer(lambda content: content.update(normalizer={"type": "Lowercase"}))
    assert line.startswith("tokenizer.json: normalizer: found one")
    (line,) = with_tokenizer(lambda content: content.pop("model"))
    assert line.startswith("tokenizer.json: found no vocabulary")


def test_only_sentences_have_a_tokenizer():
    (line,) = with_tokenizer(lambda content: None, handmade.bundle())
    assert line == "tokenizer.json: found one, accepted is none where inputs are not sentences"
