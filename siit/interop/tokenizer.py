"""A Hugging Face tokenizer for an exported model: text in, the ids that `Vocab.encode` gives out."""

from __future__ import annotations

from typing import Any

import torch

from siit._extras import require
from siit.prediction import Worded, has_tokenizer, listed_tokens, read_tokenizer


def has_words(bundle: Worded) -> bool:
    """Tells whether the tokens can be told apart in a text: different ones look different, and none has a space."""
    texts = [str(token) for token in bundle.vocab.tokens]
    return len(set(texts)) == len(texts) and all(text and not any(map(str.isspace, text)) for text in texts)


def lens_tokenizer(bundle: Worded) -> Any:
    """Makes the tokenizer that TransformerLens takes, so that its `to_tokens` and `to_str_tokens` work.

    A text is tokens with spaces between, or a sentence where the bundle has a tokenizer of its own. BOS comes first.
    Where the model has a PAD, it fills an input up to the context length, for it is a token like any other.

    Args:
        bundle: the model's; its tokens must be words, see `has_words`.

    Returns:
        A `transformers.PreTrainedTokenizerFast`.

    Raises:
        ImportError: transformers, which comes with TransformerLens, is not installed; names the extra.
    """
    transformers = require("transformers", extra="lens", needed_by="a tokenizer for TransformerLens")
    known = listed_tokens(bundle.vocab)
    length = bundle.config.n_ctx if bundle.vocab.pad_id is not None else None

    def unknown(texts: Any) -> ValueError:
        return ValueError(f"text: found {texts!r}, accepted are tokens with spaces between: {known}")

    class FullLength(transformers.PreTrainedTokenizerFast):  # type: ignore[name-defined]
        """Pads to the context length where it is asked to pad at all, and refuses what is no token."""

        def __call__(self, text: Any, *more: Any, padding: Any = False, max_length: Any = None, **options: Any) -> Any:
            if padding and length is not None:
                padding, max_length = "max_length", length
            try:
                encoded = super().__call__(text, *more, padding=padding, max_length=max_length, **options)
            except Exception as error:  # the library raises a bare Exception
                if "[UNK]" not in str(error):
                    raise
                raise unknown(text) from None
            rows = [encoded["input_ids"]] if isinstance(text, str) else encoded["input_ids"]
            # A tokenizer of a bundle's own has BOS for what it does not know.
            if any(torch.as_tensor(row).flatten().tolist().count(bos) > 1 for row in rows):
                raise unknown(text)
            return encoded

    bos, pad = bundle.vocab.bos_id, bundle.vocab.pad_id
    words = [str(token) for token in bundle.vocab.tokens]
    return FullLength(
        tokenizer_object=read_tokenizer(bundle) if has_tokenizer(bundle) else _word_level(words, bos),
        bos_token=words[bos],
        # TransformerLens would make up an end and a padding; these are never put into an input.
        eos_token=words[bos],
        pad_token=words[bos if pad is None else pad],
        add_bos_token=True,
        padding_side="right",
        name_or_path=f"siit/{bundle.case}",
        clean_up_tokenization_spaces=False,
    )


def _word_level(words: list[str], bos_id: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    # No word stands for unknown ones: they are an error.
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    bos = words[bos_id]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, bos_id)])
    return tokenizer
