"""Programs about words in a sequence of words."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.pointwise import WORDS

_MAX_LEN = 9


@register(
    vocab=WORDS,
    max_len=_MAX_LEN,
    interpbench_id="22",
    description="The words in ascending order of their lengths; words of one length keep their order.",
    roles={
        "word_length": "the number of letters of the word",
        "placed_length": "that number together with the word's index",
        "shorter_share": "attends to shorter words and BOS: the attention left on BOS is 1 / (1 + their number)",
        "shorter": "how many words are shorter: where the words of this length begin in the sorted sequence",
        "alike_before_share": "attends to earlier words of this length and BOS: the attention left on BOS is "
        "1 / (1 + their number)",
        "alike_before": "how many words of this length come before",
        "rank": "the word's place in the sorted sequence, the sum of the two numbers",
        "sort_words_by_length": "fetches the word whose rank is this position",
    },
)
def sort_words_by_length() -> rasp.SOp:
    def alike_and_before(key: int, query: int) -> bool:
        return key // _MAX_LEN == query // _MAX_LEN and key < query

    word_length = rasp.Map(len, rasp.tokens).named("word_length")
    placed_length = rasp.SequenceMap(lambda word, index: len(word) * _MAX_LEN + index, rasp.tokens, rasp.indices)
    placed_length = placed_length.named("placed_length")
    shorter = rasp.SelectorWidth(rasp.Select(word_length, word_length, rasp.Comparison.LT)).named("shorter")
    alike_before = rasp.SelectorWidth(rasp.Select(placed_length, placed_length, alike_and_before))
    rank = rasp.SequenceMap(lambda x, y: x + y, shorter, alike_before.named("alike_before")).named("rank")
    return rasp.Aggregate(rasp.Select(rank, rasp.indices, rasp.Comparison.EQ), rasp.tokens)
