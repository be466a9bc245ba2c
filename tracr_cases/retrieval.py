"""Programs that look something up in the sequence."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import (
    LAST_PLACE_ROLES,
    LENGTH_ROLES,
    before,
    before_or_none,
    count,
    fetch,
    fetch_at,
    last_place,
    length,
    token_at,
)

_MAX_LEN = 8
_POINTERS = tuple(range(_MAX_LEN))


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    causal=True,
    description="The token that followed the last earlier occurrence of this token; the token itself if there is none.",
    roles={
        **LAST_PLACE_ROLES,
        "source": "the index behind that occurrence; its own at the first occurrence",
        "induction": "the induction head: fetches the token at that index",
    },
)
def induction() -> rasp.SOp:
    source = rasp.SequenceMap(
        lambda last, index: last + 1 if last < index else index, last_place("abc", _MAX_LEN), rasp.indices
    ).named("source")
    return fetch_at(rasp.tokens, source, "induction")


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    causal=True,
    description="How many positions ago this token occurred last; 0 if it never did.",
    roles={
        **LAST_PLACE_ROLES,
        "previous_occurrence_distance": "the index minus that of the last occurrence",
    },
)
def previous_occurrence_distance() -> rasp.SOp:
    distance = rasp.SequenceMap(lambda last, index: max(index - last, 0), last_place("abc", _MAX_LEN), rasp.indices)
    return distance.named("previous_occurrence_distance")


@register(
    vocab="ab01",
    max_len=_MAX_LEN,
    balanced=True,
    description="For a letter, the digit that directly follows it anywhere in the sequence: '-' if none does, '?' if "
    "both do; '-' for a digit.",
    roles={
        "key": "the token one position before (the first position looks at itself)",
        "entry": "the letter and the digit directly behind it, stored at the digit; none elsewhere",
        "zeros_share": "a letter attends to its entries with 0 and BOS: the attention left on BOS is 1 / (1 + number)",
        "zeros": "how often 0 is stored under this letter",
        "ones_share": "a letter attends to its entries with 1 and BOS: the attention left on BOS is 1 / (1 + number)",
        "ones": "how often 1 is stored under this letter",
        "key_value_lookup": "the digit that is stored, or that none or both are",
    },
)
def key_value_lookup() -> rasp.SOp:
    def stored(key: str, value: str) -> str:
        return key + value if key in "ab" and value in "01" else "none"

    def found(zeros: int, ones: int) -> str:
        return "-?01"[1 if zeros and ones else 2 if zeros else 3 if ones else 0]

    entry = rasp.SequenceMap(stored, before(1, "key"), rasp.tokens).named("entry")
    zeros = count(entry, rasp.tokens, lambda key, query: key == query + "0", "zeros")
    ones = count(entry, rasp.tokens, lambda key, query: key == query + "1", "ones")
    return rasp.SequenceMap(found, zeros, ones).named("key_value_lookup")


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    description="How often the token at this position directly follows the sequence's first token (a bigram count).",
    roles={
        "previous": "the token one position before; undefined at the first",
        "first": "the token at the first position",
        "follows_first": "whether the token before equals the first token",
        "follower": "the token, if it follows the first one; none elsewhere",
        "followers_of_first_share": "attends to equal followers and BOS: the attention left on BOS is 1 / (1 + number)",
        "followers_of_first": "the number of equal followers",
    },
)
def followers_of_first() -> rasp.SOp:
    previous = before_or_none(1, "previous")
    same = rasp.SequenceMap(lambda x, y: x == y, previous, token_at(0, "first")).named("follows_first")
    follower = rasp.SequenceMap(lambda follows, token: token if follows else "none", same, rasp.tokens)
    return count(follower.named("follower"), rasp.tokens, lambda key, query: key == query, "followers_of_first")


@register(
    vocab=_POINTERS,
    max_len=_MAX_LEN,
    description="The token at the index that this token names, modulo the length.",
    roles={
        **LENGTH_ROLES,
        "target": "the index that the token points to: the token modulo the length",
        "follow_pointer": "fetches the token at that index",
    },
)
def follow_pointer() -> rasp.SOp:
    target = rasp.SequenceMap(lambda token, size: token % max(size, 1), rasp.tokens, length()).named("target")
    return fetch_at(rasp.tokens, target, "follow_pointer")


@register(
    vocab=_POINTERS,
    max_len=_MAX_LEN,
    description="The token found by following two pointers, each a token read as an index modulo the length.",
    roles={
        **LENGTH_ROLES,
        "target": "the index that the token points to: the token modulo the length",
        "pointer": "fetches the token at that index",
        "next_target": "the index that the fetched token points to",
        "follow_two_pointers": "fetches the token there",
    },
)
def follow_two_pointers() -> rasp.SOp:
    size = length()
    target = rasp.SequenceMap(lambda token, size: token % max(size, 1), rasp.tokens, size).named("target")
    pointer = fetch_at(rasp.tokens, target, "pointer")
    further = rasp.SequenceMap(lambda token, size: token % max(size, 1), pointer, size).named("next_target")
    return fetch_at(rasp.tokens, further, "follow_two_pointers")


@register(
    vocab=_POINTERS,
    max_len=_MAX_LEN,
    description="At every position, the token at the index that the last token names, modulo the length.",
    roles={
        **LENGTH_ROLES,
        "last": "fetches the last token, at index length - 1",
        "target": "the index that the last token points to: the token modulo the length",
        "indexed_by_last": "fetches the token at that index",
    },
)
def indexed_by_last() -> rasp.SOp:
    size = length()
    last = fetch(rasp.tokens, rasp.indices, size, lambda key, query: key == query - 1, "last")
    target = rasp.SequenceMap(lambda token, size: token % max(size, 1), last, size).named("target")
    return fetch_at(rasp.tokens, target, "indexed_by_last")


@register(
    vocab=range(5),
    max_len=_MAX_LEN,
    description="The sequence rotated to the left by as many positions as the first token says.",
    roles={
        **LENGTH_ROLES,
        "first": "the token at the first position",
        "turn": "the first token modulo the length, together with the length",
        "source": "the index that this position reads from: its own plus the turn, around the end",
        "rotate_left": "fetches the token at that index",
    },
)
def rotate_left() -> rasp.SOp:
    base = _MAX_LEN + 1
    turn = rasp.SequenceMap(lambda first, size: first % max(size, 1) * base + size, token_at(0, "first"), length())
    source = rasp.SequenceMap(
        lambda turn, index: (index + turn // base) % max(turn % base, 1), turn.named("turn"), rasp.indices
    ).named("source")
    return fetch_at(rasp.tokens, source, "rotate_left")
