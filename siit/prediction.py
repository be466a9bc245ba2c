"""Answers of a model in the words of its vocabulary: tokens in, classes or numbers out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

from siit.bundle import TOKENIZER_FILE, Vocab
from siit.causal import CausalModel, Inputs, Scalar
from siit.certificate import Answers
from siit.graph.architecture import ModelConfig
from siit.transformer import Transformer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Answer = Scalar | None
_LISTED = 20
"""Tokens that an error names."""


@runtime_checkable
class Worded(Protocol):
    """What tells the words of a model's inputs and outputs: a bundle, or a Tracr twin."""

    @property
    def case(self) -> str:
        """The task's name."""

    @property
    def config(self) -> ModelConfig:
        """The architecture."""

    @property
    def vocab(self) -> Vocab:
        """What ids stand for."""

    @property
    def answers(self) -> Answers:
        """How outputs are read."""

    @property
    def extra_files(self) -> Mapping[str, bytes]:
        """Further files by name: a tokenizer among them, where there is one."""


@torch.no_grad()
def predict(model: Transformer, bundle: Worded, causal_model: CausalModel, inputs: Any) -> list[Any]:
    """Answers an input, or each of a batch of them.

    Args:
        model: the transformer.
        bundle: says what ids stand for, and how outputs are read.
        causal_model: says at which tokens there is an answer.
        inputs: a list of tokens, without BOS and padding; or a sentence, where the bundle has a tokenizer; or a list of
            such inputs.

    Returns:
        For an input a list with an entry for each of its tokens, for a batch a list of such lists. An entry is the
        class, or the number, that the model answers at this token. It is None where the task has no answer. (Where
        None is one of the classes it is an answer too.)

    Raises:
        ValueError: an unknown token, too many or too few of them, or answers that are not finite.
    """
    if _is_batch(inputs, bundle):
        rows = [_tokens(one, bundle) for one in inputs]
    else:
        rows = [_tokens(inputs, bundle)]
    ids = torch.stack([_encode(row, bundle) for row in rows])
    device = model.embed.W_E.device
    answers = bundle.answers.of(model(ids.to(device))).cpu()
    scored = causal_model.run(Inputs(ids)).scored
    found = [
        [
            _in_words(answers[row, place], bundle.vocab) if scored[row, place] else None
            for place in range(1, len(tokens) + 1)
        ]
        for row, tokens in enumerate(rows)
    ]
    return found if _is_batch(inputs, bundle) else found[0]


def has_tokenizer(bundle: Worded) -> bool:
    """Tells whether the bundle's inputs can be given as sentences."""
    return TOKENIZER_FILE in bundle.extra_files and all(isinstance(token, str) for token in bundle.vocab.tokens)


def read_tokenizer(bundle: Worded) -> Tokenizer:
    """Reads the bundle's own tokenizer.

    Raises:
        ValueError: the file is damaged.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(bundle.extra_files[TOKENIZER_FILE].decode())
    except Exception as error:  # the library raises a bare Exception for what it cannot read
        raise ValueError(f"{TOKENIZER_FILE}: no tokenizer of the tokenizers library: {error}") from error
    return tokenizer


def _is_batch(inputs: Any, bundle: Worded) -> bool:
    if isinstance(inputs, str) or not isinstance(inputs, Sequence) or not inputs:
        return False
    if all(isinstance(one, list | tuple) for one in inputs):
        return True
    # No token of a tokenizer of words has a space in it.
    return has_tokenizer(bundle) and all(isinstance(one, str) and " " in one.strip() for one in inputs)


def _tokens(one: Any, bundle: Worded) -> list[Any]:
    if isinstance(one, str):
        return _words(one, bundle)
    if not isinstance(one, list | tuple):
        raise ValueError(f"inputs: found {type(one).__name__}, accepted is a list of tokens, or a list of such lists")
    return list(one)


def _words(sentence: str, bundle: Worded) -> list[Scalar]:
    """Splits a sentence by the bundle's own tokenizer, which may know only some words."""
    if not has_tokenizer(bundle):
        raise ValueError(
            f"inputs: found the text {sentence!r}, accepted is a list of tokens: [{listed_tokens(bundle.vocab)}]"
        )
    encoded = read_tokenizer(bundle).encode(sentence)
    vocab = bundle.vocab
    first, *ids = encoded.ids
    if first != vocab.bos_id:
        raise ValueError(f"{TOKENIZER_FILE}: found id {first} first, accepted is BOS, {vocab.bos_id}")
    for number, (begin, end) in zip(ids, encoded.offsets[1:], strict=True):
        # What the tokenizer does not know it has as BOS.
        if not 0 <= number < len(vocab.tokens) or number in (vocab.bos_id, vocab.pad_id):
            raise _unknown(sentence[begin:end], vocab)
    return [vocab.tokens[number] for number in ids]


def _encode(tokens: Sequence[Any], bundle: Worded) -> torch.Tensor:
    vocab, room = bundle.vocab, bundle.config.n_ctx - 1
    if not tokens or len(tokens) > room or (vocab.pad_id is None and len(tokens) < room):
        accepted = f"exactly {room}" if vocab.pad_id is None else f"1 to {room}"
        raise ValueError(f"inputs: found {len(tokens)} tokens, accepted are {accepted}")
    known = {(type(token), token) for index, token in enumerate(vocab.tokens) if index not in _special(vocab)}
    for token in tokens:
        try:
            unknown = (type(token), token) not in known
        except TypeError:
            unknown = True
        if unknown:
            raise _unknown(token, vocab)
    return vocab.encode(tokens, bundle.config.n_ctx)


def _special(vocab: Vocab) -> tuple[int | None, ...]:
    return vocab.bos_id, vocab.pad_id


def _unknown(token: object, vocab: Vocab) -> ValueError:
    texts = {str(value): value for index, value in enumerate(vocab.tokens) if index not in _special(vocab)}
    near = [repr(texts[name]) for name in difflib.get_close_matches(str(token), texts, n=3)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return ValueError(f"inputs: found {token!r}, which is no token; {hint}accepted are {listed_tokens(vocab)}")


def listed_tokens(vocab: Vocab) -> str:
    """Lists the tokens, the first of many, without BOS and PAD."""
    known = [repr(token) for index, token in enumerate(vocab.tokens) if index not in _special(vocab)]
    return ", ".join(known[:_LISTED]) + (f", ... ({len(known)} in all)" if len(known) > _LISTED else "")


def _in_words(answer: torch.Tensor, vocab: Vocab) -> Answer:
    if vocab.classes is None:
        return float(answer)
    if int(answer) < 0:
        raise ValueError("answers: found logits that are not finite, accepted is a model with finite weights")
    return vocab.classes[int(answer)]
