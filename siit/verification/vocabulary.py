"""Vocabulary: whether ids, sizes and classes are those of the causal model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from siit.bundle import Bundle
from siit.causal import CausalModel


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


def _typed(values: Sequence[object] | None) -> list[tuple[str, object]] | None:
    """Tells 1, 1.0 and true apart."""
    return None if values is None else [(type(value).__name__, value) for value in values]


def _short(value: object) -> str:
    text = str([item for _, item in value]) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
