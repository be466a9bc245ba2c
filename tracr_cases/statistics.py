"""Programs about how often tokens occur."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import EARLIER_SAME_ROLES, before, count, count_all, earlier_same, fetch_where_none

_LETTERS = "abcd"
_MAX_LEN = 8
_FREQUENCY = {
    "frequency_share": "attends to equal tokens and BOS: the attention left on BOS is 1 / (1 + frequency)",
    "frequency": "how often the token occurs in the sequence",
}


def _frequency() -> rasp.SOp:
    return count(rasp.tokens, rasp.tokens, lambda key, query: key == query, "frequency")


def _count_of(letter: str) -> rasp.SOp:
    return count_all(rasp.tokens, lambda token: token == letter, f"count_{letter}")


def _count_roles(letters: str) -> dict[str, str]:
    roles = {}
    for letter in letters:
        roles[f"count_{letter}_share"] = f"attends to '{letter}' and BOS: the attention left on BOS is 1 / (1 + count)"
        roles[f"count_{letter}"] = f"the number of '{letter}'"
    return roles


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    description="The most frequent token, at every position; of several, the first in the alphabet.",
    roles={
        **_count_roles("abc"),
        "leader": "the more frequent of 'a' and 'b', together with its count",
        "most_frequent_token": "the leader or 'c', whichever is more frequent",
    },
)
def most_frequent_token() -> rasp.SOp:
    leader = rasp.SequenceMap(lambda a, b: 2 * b + 1 if b > a else 2 * a, _count_of("a"), _count_of("b"))
    best = rasp.SequenceMap(
        lambda lead, c: "c" if c > lead // 2 else "ab"[lead % 2], leader.named("leader"), _count_of("c")
    )
    return best.named("most_frequent_token")


@register(
    vocab="ab.",
    max_len=_MAX_LEN,
    description="Whether 'a' or 'b' has more votes in the sequence, '=' for a draw, at every position.",
    roles={
        **_count_roles("ab"),
        "majority_vote": "which of the counts is larger",
    },
)
def majority_vote() -> rasp.SOp:
    winner = rasp.SequenceMap(lambda a, b: "a" if a > b else "b" if b > a else "=", _count_of("a"), _count_of("b"))
    return winner.named("majority_vote")


@register(
    vocab=_LETTERS,
    max_len=_MAX_LEN,
    description="The least frequent token that occurs, at every position: of several, the first in the alphabet.",
    roles={
        **_FREQUENCY,
        "key": "the frequency, ties broken by the alphabet",
        "smaller_share": "attends to smaller keys and BOS: the attention left on BOS is 1 / (1 + their number)",
        "smaller": "the number of smaller keys, 0 for the least frequent token",
        "smallest": "fetches the key that has no smaller one",
        "least_frequent_token": "the token of that key",
    },
)
def least_frequent_token() -> rasp.SOp:
    key = rasp.SequenceMap(lambda n, token: 4 * n + _LETTERS.index(token), _frequency(), rasp.tokens).named("key")
    smallest = fetch_where_none(key, count(key, key, lambda key, query: key < query, "smaller"), "smallest")
    return rasp.Map(lambda key: _LETTERS[int(key) % 4], smallest).named("least_frequent_token")


@register(
    vocab=_LETTERS,
    max_len=_MAX_LEN,
    description="The token that occurs exactly once, at every position: of several, the first in the alphabet; '-' if "
    "there is none.",
    roles={
        **_FREQUENCY,
        "single": "the token's place in the alphabet if it occurs once, else a place behind the alphabet",
        "smaller_share": "attends to smaller places and BOS: the attention left on BOS is 1 / (1 + their number)",
        "smaller": "the number of smaller places, 0 for the first token that occurs once (for all, if none does)",
        "smallest": "fetches the place that has no smaller one",
        "token_occurring_once": "the token of that place, '-' behind the alphabet",
    },
)
def token_occurring_once() -> rasp.SOp:
    single = rasp.SequenceMap(lambda n, token: _LETTERS.index(token) if n == 1 else 4, _frequency(), rasp.tokens)
    single = single.named("single")
    smallest = fetch_where_none(single, count(single, single, lambda key, query: key < query, "smaller"), "smallest")
    return rasp.Map(lambda place: (_LETTERS + "-")[int(place)], smallest).named("token_occurring_once")


@register(
    vocab=_LETTERS,
    max_len=_MAX_LEN,
    balanced=True,
    description="How many tokens occur exactly once, at every position.",
    roles={
        **_FREQUENCY,
        "singles_share": "attends to tokens of frequency 1 and BOS: the attention left on BOS is 1 / (1 + number)",
        "singles": "the number of tokens of frequency 1",
    },
)
def singles() -> rasp.SOp:
    return count_all(_frequency(), lambda n: n == 1, "singles")


@register(
    vocab=_LETTERS,
    max_len=_MAX_LEN,
    balanced=True,
    description="How many positions hold a token that is as frequent as this one.",
    roles={
        **_FREQUENCY,
        "equally_frequent_share": "attends to tokens of the same frequency and BOS: the attention left on BOS is "
        "1 / (1 + their number)",
        "equally_frequent": "the number of tokens of the same frequency",
    },
)
def equally_frequent() -> rasp.SOp:
    frequency = _frequency()
    return count(frequency, frequency, lambda key, query: key == query, "equally_frequent")


@register(
    vocab=_LETTERS,
    max_len=_MAX_LEN,
    balanced=True,
    description="How many different tokens there are, at every position.",
    roles={
        **EARLIER_SAME_ROLES,
        "distinct_tokens_share": "attends to first occurrences and BOS: the attention left on BOS is 1 / (1 + number)",
        "distinct_tokens": "the number of first occurrences",
    },
)
def distinct_tokens() -> rasp.SOp:
    return count_all(earlier_same(_LETTERS, _MAX_LEN), lambda n: n == 0, "distinct_tokens")


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    causal=True,
    balanced=True,
    description="The sequence with '_' in place of every token that occurred twice before.",
    roles={
        **EARLIER_SAME_ROLES,
        "keep_two": "'_' from the third occurrence on, else the token",
    },
)
def keep_two() -> rasp.SOp:
    kept = rasp.SequenceMap(lambda n, token: token if n < 2 else "_", earlier_same("abc", _MAX_LEN), rasp.tokens)
    return kept.named("keep_two")


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    balanced=True,
    description="How often this token and the one before occur side by side; the first token stands before itself.",
    roles={
        "previous": "the token one position before (the first position looks at itself)",
        "bigram": "that token together with this one",
        "bigram_count_share": "attends to equal bigrams and BOS: the attention left on BOS is 1 / (1 + count)",
        "bigram_count": "the number of equal bigrams",
    },
)
def bigram_count() -> rasp.SOp:
    bigram = rasp.SequenceMap(lambda x, y: x + y, before(1, "previous"), rasp.tokens).named("bigram")
    return count(bigram, bigram, lambda key, query: key == query, "bigram_count")
