"""What our own tasks compute, in plain Python, written from their descriptions and not from their programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import accumulate, groupby, pairwise
from typing import Any

Reference = Callable[[list[Any]], list[Any]]
REFERENCES: dict[str, Reference] = {}
"""Case -> its reference: from the tokens to the output at every position."""


def reference(function: Reference) -> Reference:
    REFERENCES[function.__name__] = function
    return function


def everywhere(function: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    """A task with one answer for the whole sequence, given at every position."""
    REFERENCES[function.__name__] = lambda x: [function(x)] * len(x)
    return function


# Retrieval.


def _last_before(x: list[Any], i: int) -> int | None:
    return max((j for j in range(i) if x[j] == x[i]), default=None)


@reference
def induction(x):
    places = [_last_before(x, i) for i in range(len(x))]
    return [token if j is None else x[j + 1] for token, j in zip(x, places, strict=True)]


@reference
def previous_occurrence_distance(x):
    places = [_last_before(x, i) for i in range(len(x))]
    return [0 if j is None else i - j for i, j in enumerate(places)]


@reference
def key_value_lookup(x):
    def answer(token):
        values = {b for a, b in pairwise(x) if a == token and b in "01"}
        if token in "01" or not values:
            return "-"
        return "?" if len(values) == 2 else values.pop()

    return [answer(token) for token in x]


@reference
def followers_of_first(x):
    followers = [b for a, b in pairwise(x) if a == x[0]]
    return [followers.count(token) for token in x]


@reference
def follow_pointer(x):
    return [x[token % len(x)] for token in x]


@reference
def follow_two_pointers(x):
    return [x[x[token % len(x)] % len(x)] for token in x]


@everywhere
def indexed_by_last(x):
    return x[x[-1] % len(x)]


@reference
def rotate_left(x):
    turn = x[0] % len(x)
    return x[turn:] + x[:turn]


# Segments.


def _segments(x: list[Any]) -> list[list[Any]]:
    """Split before every '|'; the first segment is the one before the first '|', perhaps empty."""
    found: list[list[Any]] = [[]]
    for token in x:
        if token == "|":
            found.append([])
        found[-1].append(token)
    return found


@reference
def segment_length(x):
    return [len(segment) for segment in _segments(x) for _ in segment]


@reference
def segment_fraction(x):
    return [segment.count("x") / len(segment) for segment in _segments(x) for _ in segment]


@reference
def count_in_segment(x):
    return [segment.count(token) for segment in _segments(x) for token in segment]


@everywhere
def field_length(x):
    number, fields = 0 if x[0] == "|" else int(x[0]), _segments(x)
    return len(fields[number]) if number < len(fields) else 0


@everywhere
def field_lookup(x):
    number, fields = 0 if x[0] == "|" else int(x[0]), _segments(x)
    field = fields[min(number, len(fields) - 1)]
    return field[-1] if field else "|"


@reference
def distance_to_x(x):
    return [next((d for d in range(i + 1) if x[i - d] == "x"), i) for i in range(len(x))]


@reference
def forward_fill(x):
    return list(accumulate(x, lambda last, token: last if token == "_" else token))


@reference
def mask_quoted(x):
    output, inside = [], False
    for token in x:
        inside ^= token == "'"
        output.append("*" if inside and token != "'" else token)
    return output


# Statistics.


@everywhere
def most_frequent_token(x):
    return max("abc", key=x.count)


@everywhere
def majority_vote(x):
    balance = sum({"a": 1, "b": -1}.get(token, 0) for token in x)
    return "a" if balance > 0 else "b" if balance else "="


@everywhere
def least_frequent_token(x):
    return min(sorted(set(x)), key=x.count)


@everywhere
def token_occurring_once(x):
    return min((token for token, n in Counter(x).items() if n == 1), default="-")


@everywhere
def singles(x):
    return list(Counter(x).values()).count(1)


@reference
def equally_frequent(x):
    counts = Counter(x)
    return [sum(n for n in counts.values() if n == counts[token]) for token in x]


@everywhere
def distinct_tokens(x):
    return len(set(x))


@reference
def keep_two(x):
    return [token if x[:i].count(token) < 2 else "_" for i, token in enumerate(x)]


@reference
def bigram_count(x):
    bigrams = list(zip([x[0], *x], x, strict=False))
    return [bigrams.count(bigram) for bigram in bigrams]


# Extremes.


@everywhere
def second_largest(x):
    return sorted(x)[-2]


@everywhere
def value_range(x):
    return max(x) - min(x)


@everywhere
def maxima(x):
    return x.count(max(x))


@reference
def distance_to_maximum(x):
    return [max(x) - token for token in x]


@reference
def running_maximum(x):
    return list(accumulate(x, max))


@reference
def records(x):
    return [token if all(token > other for other in x[:i]) else "-" for i, token in enumerate(x)]


@reference
def nearer_extreme(x):
    above, below = [max(x) - token for token in x], [token - min(x) for token in x]
    return ["high" if a < b else "low" if b < a else "middle" for a, b in zip(above, below, strict=True)]


# Windows.

_LEGAL = {"aa", "ab", "bb", "bc", "ca"}


def _violations(x: list[Any]) -> list[bool]:
    return [False, *(a + b not in _LEGAL for a, b in pairwise(x))]


def _last_three(x: list[Any]) -> list[list[Any]]:
    padded = [x[0], x[0], *x]
    return [padded[i : i + 3] for i in range(len(x))]


@everywhere
def bigram_violations(x):
    return sum(_violations(x))


@reference
def legal_so_far(x):
    return [not any(_violations(x[: i + 1])) for i in range(len(x))]


@reference
def majority_of_three(x):
    return [Counter(window).most_common(1)[0][0] for window in _last_three(x)]


@reference
def max_of_three(x):
    return [max(window) for window in _last_three(x)]


@reference
def rewrite_after_pair(x):
    exchanged = {"a": "b", "b": "a", "c": "c"}
    return [exchanged[c] if a == b else c for a, b, c in _last_three(x)]


@reference
def rewrite_between(x):
    ends = range(1, len(x) - 1)
    return [x[i].upper() if i in ends and x[i - 1] == x[i + 1] == "a" else x[i] for i in range(len(x))]


@everywhere
def pattern_count(x):
    return sum("".join(x)[i:].startswith("aba") for i in range(len(x)))


@everywhere
def peaks(x):
    return sum(a < b > c for a, b, c in zip(x, x[1:], x[2:], strict=False))


@everywhere
def ascents(x):
    return sum(a < b for a, b in pairwise(x))


@reference
def net_rise_fraction(x):
    steps = [0] + [1 if b > a else -1 if b < a else 0 for a, b in pairwise(x)]
    return [sum(steps[: i + 1]) / (i + 1) for i in range(len(x))]


# Automata.


@reference
def bracket_depth(x):
    return list(accumulate({"(": 1, ")": -1, "x": 0}[token] for token in x))


@everywhere
def largest_depth(x):
    return max(bracket_depth(x))


@reference
def balanced_depth(x):
    stack: list[str] = []
    output: list[int] = []
    for i, token in enumerate(x):
        if token == "(":
            stack.append(token)
        elif stack:
            stack.pop()
        else:
            return output + [-1] * (len(x) - i)
        output.append(len(stack))
    return output


@reference
def run_length(x):
    runs = [len(list(run)) for _, run in groupby(x)]
    return [length for length in runs for _ in range(length)]


@everywhere
def longest_run(x):
    return max(map(len, "".join(x).split(".")))


@reference
def switch_state(x):
    return list(accumulate(x, lambda on, token: {"+": True, "-": False, ".": on}[token], initial=False))[1:]


@reference
def parity_of_count(x):
    return list(accumulate((token == "x" for token in x), lambda odd, here: odd != here))


@reference
def counter_with_reset(x):
    step = {"+": lambda n: n + 1, "r": lambda n: 0, ".": lambda n: n}
    return list(accumulate(x, lambda n, token: step[token](n), initial=0))[1:]


# Numbers.


def _numbers(columns: list[str]) -> tuple[int, int]:
    """The two numbers whose columns these are, the highest first."""
    upper, lower = ("".join(column[row] for column in columns) for row in range(2))
    return int(upper or "0", 2), int(lower or "0", 2)


def _bits(number: int, size: int) -> list[int]:
    """The lowest bit first."""
    return [number >> i & 1 for i in range(size)]


@reference
def carry(x):
    return [sum(_numbers(x[:i][::-1])) >> i for i in range(len(x))]


@reference
def binary_addition(x):
    return _bits(sum(_numbers(x[::-1])), len(x))


@everywhere
def compare_binary(x):
    upper, lower = _numbers(x)
    return "<" if upper < lower else ">" if upper > lower else "="


def _value(x: list[int]) -> int:
    return sum(bit << i for i, bit in enumerate(x))


@reference
def binary_increment(x):
    return _bits(_value(x) + 1, len(x))


@reference
def twos_complement(x):
    return _bits(-_value(x), len(x))


@everywhere
def binary_modulo_three(x):
    return _value(x) % 3


@everywhere
def modular_sum(x):
    return sum(x) % 3


@reference
def running_modular_sum(x):
    return [sum(x[: i + 1]) % 3 for i in range(len(x))]


@reference
def caesar_shift(x):
    places = [ord(letter) - ord("a") for letter in x]
    shift = places[0] if places[1] < 3 else -places[0]
    return [chr(ord("a") + (place + shift) % 6) for place in places]


@reference
def affine_cipher(x):
    return [(x[0] * token + x[1]) % 5 for token in x]


# Ordering.


@reference
def argsort(x):
    return sorted(range(len(x)), key=x.__getitem__)


@reference
def blanks_last(x):
    return sorted(x, key="_".__eq__)


@reference
def deduplicating_sort(x):
    ascending = sorted(x)
    return ["-" if i and ascending[i - 1] == token else token for i, token in enumerate(ascending)]


@reference
def sorted_set(x):
    distinct = sorted(set(x))
    return distinct + ["-"] * (len(x) - len(distinct))


@reference
def sort_by_frequency(x):
    return sorted(x, key=lambda token: (x.count(token), token))


@reference
def mirror_rank(x):
    order = argsort(x)
    mirrored = dict(zip(order, reversed(order), strict=True))
    return [x[mirrored[i]] for i in range(len(x))]
