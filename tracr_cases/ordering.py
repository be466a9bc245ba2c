"""Programs that put tokens into an order, by more than a plain sort."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import EARLIER_SAME_ROLES, count, count_all, earlier_same, fetch, length

_DIGITS = tuple(range(4))
_MAX_LEN = 6
_RANK = {
    "sort_key": "the token, ties broken by position",
    "rank_share": "attends to smaller keys and BOS: the attention left on BOS is 1 / (1 + rank)",
    "rank": "how many keys are smaller: the token's place in the order",
}


def _sort_key() -> rasp.SOp:
    key = rasp.SequenceMap(lambda token, index: token * _MAX_LEN + index, rasp.tokens, rasp.indices)
    return key.named("sort_key")


def _rank(key: rasp.SOp) -> rasp.SOp:
    return count(key, key, lambda key, query: key < query, "rank")


def _place(values: rasp.SOp, rank: rasp.SOp, places: rasp.SOp, name: str) -> rasp.SOp:
    """What the token with the rank `places` holds."""
    return fetch(values, rank, places, lambda key, query: key == query, name)


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="The order that sorts the sequence: the index of the token that comes at this place.",
    roles={
        **_RANK,
        "argsort": "fetches the index of the token whose rank is this position",
    },
)
def argsort() -> rasp.SOp:
    return _place(rasp.indices, _rank(_sort_key()), rasp.indices, "argsort")


@register(
    vocab="abc_",
    max_len=8,
    description="The sequence with all '_' moved to the end, the letters in their order.",
    roles={
        "sort_key": "the position, that of a '_' behind all letters",
        "rank_share": "attends to smaller keys and BOS: the attention left on BOS is 1 / (1 + rank)",
        "rank": "how many keys are smaller: the place to move to",
        "blanks_last": "fetches the token whose rank is this position",
    },
)
def blanks_last() -> rasp.SOp:
    key = rasp.SequenceMap(lambda token, index: index + 8 * (token == "_"), rasp.tokens, rasp.indices)
    return _place(rasp.tokens, _rank(key.named("sort_key")), rasp.indices, "blanks_last")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="The tokens in ascending order, '-' in place of every repeated value but the first.",
    roles={
        **_RANK,
        "smaller_same_share": "attends to smaller keys of the same value and BOS: the attention left on BOS is "
        "1 / (1 + their number)",
        "smaller_same": "the number of smaller keys of the same value, 0 for the first of them",
        "shown": "the token, '-' if it is a repetition",
        "deduplicating_sort": "fetches what is shown for the token whose rank is this position",
    },
)
def deduplicating_sort() -> rasp.SOp:
    def smaller_same(key: int, query: int) -> bool:
        return key // _MAX_LEN == query // _MAX_LEN and key < query

    key = _sort_key()
    shown = rasp.SequenceMap(
        lambda n, token: "-" if n else token, count(key, key, smaller_same, "smaller_same"), rasp.tokens
    )
    return _place(shown.named("shown"), _rank(key), rasp.indices, "deduplicating_sort")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="The different tokens in ascending order, then '-' up to the length.",
    roles={
        **EARLIER_SAME_ROLES,
        "distinct_key": "the token at its first occurrence, at all others one that is larger than all tokens",
        "distinct_rank_share": "attends to smaller keys and BOS: the attention left on BOS is 1 / (1 + rank)",
        "distinct_rank": "how many different tokens are smaller; at repetitions, how many there are at all",
        "distinct_share": "attends to first occurrences and BOS: the attention left on BOS is 1 / (1 + their number)",
        "distinct": "how many different tokens there are",
        "read_rank": "the rank that this position reads: its own index, at most the number of different tokens",
        "sorted_key": "fetches the key of that rank",
        "sorted_set": "the token, or '-' for the key of repetitions",
    },
)
def sorted_set() -> rasp.SOp:
    repeated = len(_DIGITS)
    first = rasp.SequenceMap(
        lambda n, token: repeated if n else token, earlier_same(_DIGITS, _MAX_LEN), rasp.tokens
    ).named("distinct_key")
    rank = count(first, first, lambda key, query: key < query, "distinct_rank")
    distinct = count_all(first, lambda key: key < repeated, "distinct")
    read_rank = rasp.SequenceMap(min, distinct, rasp.indices).named("read_rank")
    key = _place(first, rank, read_rank, "sorted_key")
    return rasp.Map(lambda key: "-" if key == repeated else key, key).named("sorted_set")


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    description="The tokens ordered by how often they occur, the rarest first; ties by the alphabet.",
    roles={
        "place": "the token together with its position",
        "frequency_share": "attends to equal tokens and BOS: the attention left on BOS is 1 / (1 + frequency)",
        "frequency": "how often the token occurs in the sequence",
        "sort_key": "the frequency, ties broken by token and position",
        "rank_share": "attends to smaller keys and BOS: the attention left on BOS is 1 / (1 + rank)",
        "rank": "how many keys are smaller: the token's place in the order",
        "sort_by_frequency": "fetches the token whose rank is this position",
    },
)
def sort_by_frequency() -> rasp.SOp:
    size = 3 * _MAX_LEN
    place = rasp.SequenceMap(
        lambda token, index: "abc".index(token) * _MAX_LEN + index, rasp.tokens, rasp.indices
    ).named("place")
    frequency = count(rasp.tokens, rasp.tokens, lambda key, query: key == query, "frequency")
    key = rasp.SequenceMap(lambda n, place: n * size + place, frequency, place).named("sort_key")
    return _place(rasp.tokens, _rank(key), rasp.indices, "sort_by_frequency")


@register(
    vocab=_DIGITS,
    max_len=_MAX_LEN,
    description="Each token replaced by its mirror image in the order: the smallest by the largest, the second "
    "smallest by the second largest, and so on; of equal ones, the earlier counts as smaller.",
    roles={
        **_RANK,
        "length_share": "attends to all tokens and BOS: the attention left on BOS is 1 / (1 + length)",
        "length": "the number of tokens",
        "mirrored_rank": "the rank that this position reads, length - 1 - rank",
        "mirror_rank": "fetches the token of that rank",
    },
)
def mirror_rank() -> rasp.SOp:
    rank = _rank(_sort_key())
    mirrored = rasp.SequenceMap(lambda size, rank: size - 1 - rank, length(), rank).named("mirrored_rank")
    return _place(rasp.tokens, rank, mirrored, "mirror_rank")
