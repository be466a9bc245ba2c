"""The task of an IOI case: sentences with the tokenizer that makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from siit.tasks import SentenceTask
from siit.training.ioi.causal_models import IOI_CASES, ioi_case
from siit.training.ioi.sentences import make_ioi_tokenizer, make_sentences

TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True, eq=False)
class IOITask(SentenceTask):
    """Sentences with two names, one of them twice; the answer is the other.

    Attributes:
        tokenizer: of the `tokenizers` library, with BOS and PAD as its last two ids.
    """

    tokenizer: Any = field(kw_only=True)

    def files(self) -> dict[str, bytes]:
        """Makes the tokenizer's file."""
        return {TOKENIZER_FILE: self.tokenizer.to_str(pretty=True).encode()}


def make_ioi_task(name: str, tokenizer: str) -> IOITask:
    """Makes the task of an IOI case.

    Args:
        name: of the case, see `ioi_case`.
        tokenizer: see `siit.training.ioi.tokenizer.make_tokenizer`.

    Raises:
        ValueError: an unknown name.
        TokenizerError: see `siit.training.ioi.sentences.make_sentences`.
    """
    if (case := ioi_case(name)) is None:
        raise ValueError(f"name: found {name!r}, accepted: {', '.join(IOI_CASES)}")
    made = make_ioi_tokenizer(tokenizer)
    sentences = make_sentences(made)
    model = case.make(sentences.tokens[:-2], sentences.skeletons.shape[1] - 1, sentences.names)
    return IOITask(
        name,
        model,
        min_len=1,
        causal=True,
        sentences=sentences,
        both_orders=case.other_order,
        next_token=case.next_token,
        tokenizer=made,
    )
