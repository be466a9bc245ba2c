"""Makes tokenizers: one of whole words, from the templates, or GPT-2's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WORDS, GPT2 = "words", "gpt2"
GPT2_REPOSITORY = "openai-community/gpt2"
BOS, PAD = "BOS", "PAD"
GPT2_BOS, GPT2_PAD = "<|endoftext|>", "<|pad|>"


class TokenizerError(ValueError):
    """A tokenizer that cannot be had, or that does not fit; the message says what is accepted."""


def make_tokenizer(name: str, words: Sequence[str]) -> Tokenizer:
    """Makes the tokenizer of a name, with a BOS that it puts first and a PAD, its two last ids.

    Args:
        name: `words`; or `gpt2`, from the Hub or its cache; or a folder or file of GPT-2's tokenizer.json.
        words: all words of the templates and of what fills them.

    Raises:
        TokenizerError: naming what could not be found or read.
    """
    if name == WORDS:
        return _word_level(words)
    if name == GPT2:
        return _gpt2_from_hub()
    path = Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise TokenizerError(
            f"case.tokenizer: found {name!r}, accepted are {WORDS}, {GPT2}, or a folder with GPT-2's tokenizer.json"
        )
    return _gpt2(file)


def _word_level(words: Sequence[str]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    known = sorted(set(words))
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate([*known, BOS, PAD])}, BOS))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(BOS), AddedToken(PAD)])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, len(known))])
    return tokenizer


def _gpt2_from_hub() -> Tokenizer:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        file = hf_hub_download(GPT2_REPOSITORY, "tokenizer.json")
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise TokenizerError(
            f"case.tokenizer: {GPT2_REPOSITORY} could not be read from the Hub or its cache ({type(error).__name__}); "
            "give the folder of a copy, case.tokenizer=<folder>, or use case.tokenizer=words"
        ) from error
    return _gpt2(Path(file))


def _gpt2(file: Path) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, processors

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises a bare Exception for a file that it cannot read
        raise TokenizerError(f"{file}: no tokenizer of the tokenizers library: {error}") from error
    bos, size = tokenizer.token_to_id(GPT2_BOS), tokenizer.get_vocab_size()
    if bos is None or bos != size - 1:
        raise TokenizerError(f"{file}: found {GPT2_BOS} at {bos} of {size} ids, accepted is GPT-2's: the last one")
    tokenizer.add_special_tokens([AddedToken(GPT2_PAD)])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{GPT2_BOS} $A", special_tokens=[(GPT2_BOS, bos)])
    return tokenizer


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """Lists all tokens by id; the last two are BOS and PAD."""
    return [str(tokenizer.id_to_token(index)) for index in range(tokenizer.get_vocab_size())]
