"""Vocabulary: whether ids, sizes and classes are those of the causal model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from siit.bundle import TOKENIZER_FILE, Bundle
from siit.causal import CausalModel
from siit.tasks import SentenceTask, Task


def vocabulary_findings(bundle: Bundle, model: CausalModel) -> Iterator[str]:
    """Lists where tokens, classes, sizes or the kind of output differ from the causal model's."""
    vocab, config, size = bundle.vocab, bundle.config, len(model.vocab)
    # Where all inputs have one length there need be no PAD.
    special = 1 if vocab.pad_id is None else 2
    pairs = [
        ("vocab.json: tokens", _typed(vocab.tokens[:size]), _typed(model.vocab)),
        ("vocab.json: how many tokens", len(vocab.tokens), size + special),
        ("vocab.json: bos_id", vocab.bos_id, size),
        ("vocab.json: pad_id", vocab.pad_id, None if special == 1 else size + 1),
        ("vocab.json: classes", _typed(vocab.classes), _typed(model.classes)),
        ("config.json: output", bundle.answers.output, model.answer.kind),
        ("config.json: n_ctx", config.n_ctx, model.max_len + 1),
        ("config.json: d_vocab", config.d_vocab, size + special),
        ("config.json: d_vocab_out", config.d_vocab_out, 1 if model.classes is None else len(model.classes)),
    ]
    for what, found, accepted in pairs:
        if found != accepted:
            yield f"{what}: found {_short(found)}, accepted is that of the causal model, {_short(accepted)}"


def tokenizer_findings(bundle: Bundle, task: Task) -> Iterator[str]:
    """Tells where the bundle's own tokenizer gives words other ids than its vocabulary; only sentences have one.

    Args:
        bundle: the claims.
        task: the declared one.
    """
    if TOKENIZER_FILE not in bundle.extra_files:
        return
    if not isinstance(task, SentenceTask):
        yield f"{TOKENIZER_FILE}: found one, accepted is none where inputs are not sentences"
        return
    try:
        content = json.loads(bundle.extra_files[TOKENIZER_FILE])
        added = [(token["content"], token["id"]) for token in content["added_tokens"]]
        known, changed = [*content["model"]["vocab"].items(), *added], content["normalizer"]
    except (ValueError, KeyError, TypeError, AttributeError):
        yield f"{TOKENIZER_FILE}: found no vocabulary, accepted is a file of the tokenizers library"
        return
    tokens = bundle.vocab.tokens
    wrong = [(word, number) for word, number in known if not _has(tokens, number, word)]
    if wrong:
        word, number = wrong[0]
        yield f"{TOKENIZER_FILE}: found id {_short(number)} for {_short(word)}, accepted are the ids of vocab.json"
    if changed is not None:
        yield f"{TOKENIZER_FILE}: normalizer: found one, which changes words; accepted is none"


def _has(tokens: Sequence[object], number: object, word: str) -> bool:
    return type(number) is int and 0 <= number < len(tokens) and tokens[number] == word


def _typed(values: Sequence[object] | None) -> list[tuple[str, object]] | None:
    """Tells 1, 1.0 and true apart."""
    return None if values is None else [(type(value).__name__, value) for value in values]


def _short(value: object) -> str:
    text = str([item for _, item in value]) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
