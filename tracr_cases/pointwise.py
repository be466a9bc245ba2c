"""Programs whose answer at a position depends on nothing but the token there and its index.

Most are one map of the token, a row of `MAPS`. The others are functions, for what computes them in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tracr.rasp import rasp

from tracr_cases.catalogue import Case, Token, add, register

_MAX_LEN = 9
_TO_10 = tuple(range(11))
_TO_29 = tuple(range(30))
_AROUND_0 = tuple(range(-10, 10))
_WIDER_AROUND_0 = tuple(range(-15, 15))
_TENTHS = tuple(i / 10 - 1 for i in range(20))
_QUARTERS = tuple(i / 4 for i in range(20))
WORDS = ("J", "LB", "TPSI", "V", "b", "no", "oCLrZaW", "poiVg")
_LONG_WORDS = """
ADUdRPP CHChpo DaUUq GFfWd GprQ JaRUhR JkqHMBn LoaeT MOkI MbJmTPSI MeyyMDH MuFb SBvrj TecQo UDIh WUSmTtzQ WlGgOtOG
WrXPvhsB Wvgfy YEZAm bVrp dzUv eWIXiiQ fJsONxK fLBcbfno fogyrD gQBw iVgRV jOkY kDyrO kxwnQr mjxWkIXH nIiUKKE nPFzPD
oCLrZaW oRuXXdoc oecv pKff pmmI qVLBLzxo qipVJ vbLJ wwMq xZtp zrenKT
"""
_VOWELS = "aeiouAEIOU"
_SENTIMENTS = {"😊": "positive", "😢": "negative", "📘": "neutral"}


def _words_and(*others: str) -> tuple[str, ...]:
    return tuple(sorted((*WORDS, *others)))


def _fibonacci(n: int) -> int:
    low, high = 0, 1
    for _ in range(n):
        low, high = high, low + high
    return low


def _is_fibonacci(x: int) -> int:
    return int(x in map(_fibonacci, range(12)))


def _is_prime(x: int) -> int:
    return int(x > 1 and all(x % divisor for divisor in range(2, x)))


def _next_prime(x: int) -> int:
    return x if _is_prime(x) else _next_prime(x + 1)


def _distinct_prime_factors(x: int) -> int:
    return sum(_is_prime(factor) for factor in range(2, x + 1) if x % factor == 0)


def _alternate_case(word: str) -> str:
    return "".join(letter.lower() if i % 2 else letter.upper() for i, letter in enumerate(word))


@dataclass(frozen=True)
class TokenMap:
    """A case whose program is one map of the token.

    Attributes:
        name, interpbench_id, vocab, description: as of `Case`.
        function: token -> answer.
        role: what the map holds, in the words of a researcher.
    """

    name: str
    interpbench_id: str
    vocab: Sequence[Token]
    function: Callable[[Any], Token]
    description: str
    role: str

    def case(self) -> Case:
        """The map as a case of the catalogue."""
        return Case(
            name=self.name,
            make=lambda: rasp.Map(self.function, rasp.tokens).named(self.name),
            vocab=tuple(self.vocab),
            max_len=_MAX_LEN,
            family="pointwise",
            description=self.description,
            causal=True,
            interpbench_id=self.interpbench_id,
            roles={self.name: self.role},
        )


MAPS = (
    # The token, or a number near it.
    TokenMap("identity", "8", _TO_10, lambda x: x, "The token itself.", "the token"),
    TokenMap("increment", "60", _TO_10, lambda x: x + 1, "The token plus 1.", "the token's successor"),
    TokenMap("decrement", "46", _TO_10, lambda x: x - 1, "The token minus 1; 0 gives -1.", "the token's predecessor"),
    TokenMap(
        "subtract_two",
        "80",
        _TO_10,
        lambda x: x - 2,
        "The token minus 2; 0 and 1 give negative numbers.",
        "the number two below the token",
    ),
    TokenMap("negate", "72", _AROUND_0, lambda x: -x, "The token with its sign flipped.", "the token's negative"),
    TokenMap("absolute", "41", _AROUND_0, abs, "The absolute value of the token.", "the token's distance from 0"),
    TokenMap(
        "round_half_up",
        "66",
        _QUARTERS,
        lambda x: int(x + 0.5),
        "The integer nearest to the token, halves rounded up.",
        "the token rounded to an integer",
    ),
    # Into a range.
    TokenMap(
        "clip_2_7",
        "130",
        _WIDER_AROUND_0,
        lambda x: min(max(x, 2), 7),
        "The token where it lies in 2 to 7, else the nearer end of that range.",
        "the token clipped to 2 to 7",
    ),
    TokenMap(
        "wrap_2_7",
        "107",
        _WIDER_AROUND_0,
        lambda x: 2 + (x - 2) % 5,
        "The token wrapped into 2 to 6: 7, the upper bound in the task's name, is exclusive, and wraps to 2.",
        "the token modulo 5, as a number from 2 to 6",
    ),
    # Powers, roots and exponentials.
    TokenMap("double", "75", _TO_10, lambda x: 2 * x, "Twice the token.", "the token times 2"),
    TokenMap("triple", "83", _TO_10, lambda x: 3 * x, "Three times the token.", "the token times 3"),
    TokenMap("square", "85", _TO_10, lambda x: x**2, "The token's square.", "the token to the power of 2"),
    TokenMap("cube", "64", _TO_10, lambda x: x**3, "The token's cube.", "the token to the power of 3"),
    TokenMap("square_root", "52", _TO_10, math.sqrt, "The token's square root.", "the token's non-negative root"),
    TokenMap(
        "cube_root", "65", _TO_10, lambda x: x ** (1 / 3), "The token's real cube root.", "the token's third root"
    ),
    TokenMap("exponential", "104", _TO_10, math.exp, "e to the power of the token.", "the token's exponential"),
    TokenMap(
        "log10",
        "114",
        _TO_10[1:],
        lambda x: math.log(x, 10),
        "The token's logarithm to base 10.",
        "the token's logarithm",
    ),
    TokenMap(
        "factorial", "62", _TO_10, math.factorial, "The token's factorial; 0 gives 1.", "the product of 1 to the token"
    ),
    TokenMap(
        "fibonacci_number",
        "43",
        tuple(range(20)),
        _fibonacci,
        "The Fibonacci number whose index is the token; 0 gives 0 and 1 gives 1.",
        "the Fibonacci number at the token's place",
    ),
    # Trigonometric and hyperbolic functions.
    TokenMap("sine", "73", _TO_10, math.sin, "The sine of the token, in radians.", "the sine of the token"),
    TokenMap("cosine", "70", _TO_10, math.cos, "The cosine of the token, in radians.", "the cosine of the token"),
    TokenMap("tangent", "77", _TO_10, math.tan, "The tangent of the token, in radians.", "the tangent of the token"),
    TokenMap("arcsine", "121", _TENTHS, math.asin, "The arcsine of the token.", "the angle whose sine is the token"),
    TokenMap(
        "arccosine", "123", _TENTHS, math.acos, "The arccosine of the token.", "the angle whose cosine is the token"
    ),
    TokenMap(
        "arctangent", "84", _TO_10, math.atan, "The arctangent of the token.", "the angle whose tangent is the token"
    ),
    TokenMap("sinh", "55", _TO_10, math.sinh, "The hyperbolic sine of the token.", "the token's hyperbolic sine"),
    TokenMap("cosh", "50", _TO_10, math.cosh, "The hyperbolic cosine of the token.", "the token's hyperbolic cosine"),
    TokenMap("tanh", "54", _TO_10, math.tanh, "The hyperbolic tangent of the token.", "the token's hyperbolic tangent"),
    # Properties of numbers.
    TokenMap(
        "sign",
        "69",
        _TO_10,
        lambda x: (x > 0) - (x < 0),
        "The token's sign, 1 or 0: no token of the vocabulary is negative, so that -1 never occurs.",
        "the token's sign",
    ),
    TokenMap(
        "at_least_three",
        "87",
        _TO_10,
        lambda x: int(x >= 3),
        "1 if the token is 3 or more, else 0.",
        "1 if the token is 3 or more, else 0",
    ),
    TokenMap(
        "divisible_by_three",
        "122",
        _TO_29,
        lambda x: int(x % 3 == 0),
        "1 if the token is divisible by 3, as 0 is, else 0.",
        "whether the token is a multiple of 3",
    ),
    TokenMap("is_prime", "79", _TO_10, _is_prime, "1 if the token is prime, else 0.", "whether the token is prime"),
    TokenMap(
        "is_square",
        "101",
        _TO_29,
        lambda x: int(math.isqrt(x) ** 2 == x),
        "1 if the token is the square of an integer, as 0 is, else 0.",
        "whether the token is a perfect square",
    ),
    TokenMap(
        "is_power_of_two",
        "86",
        _TO_10,
        lambda x: int(x in (2, 4, 8)),
        "1 if the token is 2, 4 or 8, else 0: 1, which is 2 to the power of 0, gives 0.",
        "whether the token is a positive power of 2",
    ),
    TokenMap(
        "is_fibonacci",
        "51",
        tuple(range(100)),
        _is_fibonacci,
        "1 if the token is a Fibonacci number, 0 and 1 among them, else 0.",
        "whether the token is a Fibonacci number",
    ),
    TokenMap(
        "next_prime",
        "105",
        _TO_29,
        _next_prime,
        "The smallest prime that is not smaller than the token: a prime gives itself.",
        "the token, raised to the next prime if it is none",
    ),
    TokenMap(
        "distinct_prime_factors",
        "95",
        _TO_29,
        _distinct_prime_factors,
        "The number of different primes that divide the token; 0 and 1 give 0.",
        "how many different primes divide the token",
    ),
    # Words.
    TokenMap(
        "word_length",
        "11",
        WORDS,
        len,
        "The number of letters of the word. An average of it over words of the same length would be the same, so that "
        "there is no attention here.",
        "the number of letters of the word",
    ),
    TokenMap(
        "first_three_letters",
        "29",
        WORDS,
        lambda word: word[:3],
        "The first three letters of the word, or all of a shorter word.",
        "the word's beginning",
    ),
    TokenMap(
        "alternate_case",
        "35",
        WORDS,
        _alternate_case,
        "The word with its first, third, ... letter in upper case and the others in lower case.",
        "the word in alternating case",
    ),
    TokenMap(
        "mirror_word", "28", _LONG_WORDS.split(), lambda word: word[::-1], "The word backwards.", "the word backwards"
    ),
    TokenMap(
        "reverse_word_unless_excluded",
        "37",
        WORDS,
        lambda word: word if word == "nochange" else word[::-1],
        "The word backwards, unless it is 'nochange', which is not in the vocabulary: no word is ever excluded.",
        "the word backwards",
    ),
    TokenMap(
        "anagram_of_listen",
        "31",
        _words_and("listen"),
        lambda word: sorted(word) == sorted("listen"),
        "True if the word is an anagram of 'listen', which only 'listen' itself is in this vocabulary, else False.",
        "whether the word has the letters of 'listen'",
    ),
    TokenMap(
        "spam_keyword",
        "20",
        _words_and("click", "now", "offer", "spam"),
        lambda word: "spam" if word in ("free", "offer", "click", "now") else "not spam",
        "'spam' if the word is 'offer', 'click' or 'now', else 'not spam': 'spam' is no keyword, and the keyword "
        "'free' is not in the vocabulary.",
        "whether the word is a keyword of spam",
    ),
    TokenMap(
        "emoji_sentiment",
        "36",
        sorted(_SENTIMENTS),
        _SENTIMENTS.__getitem__,
        "'positive', 'negative' or 'neutral', by the emoji.",
        "the emoji's sentiment",
    ),
)

for _row in MAPS:
    add(_row.case())


@register(
    vocab=_words_and("radar", "rotor"),
    max_len=_MAX_LEN,
    causal=True,
    none_is_answer=True,
    interpbench_id="10",
    description="The word itself if its first half equals its second half backwards, else None, which is an answer, "
    "although the task is called a check.",
    roles={
        "halves_match": "whether the first half of the word is the second half backwards",
        "symmetric_word": "the word if its halves match, else None",
    },
)
def symmetric_word() -> rasp.SOp:
    def halves_match(word: str) -> bool:
        half = len(word) // 2
        return word[:half] == word[::-1][:half]

    return _kept_where(_map(halves_match, rasp.tokens, "halves_match"))


@register(
    vocab=_words_and("noon", "racecar"),
    max_len=_MAX_LEN,
    causal=True,
    none_is_answer=True,
    interpbench_id="23",
    description="The word itself if it reads the same backwards, else None, which is an answer.",
    roles={
        "is_palindrome": "whether the word reads the same backwards",
        "palindrome_word": "the word if it is a palindrome, else None",
    },
)
def palindrome_word() -> rasp.SOp:
    return _kept_where(_map(lambda word: word == word[::-1], rasp.tokens, "is_palindrome"))


@register(
    vocab=_words_and("-", "findme"),
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="90",
    description="'-' where the token is 'findme', the token elsewhere.",
    roles={
        "is_other": "whether the token is another than 'findme'",
        "replace_findme": "the token, '-' for 'findme'",
    },
)
def replace_findme() -> rasp.SOp:
    return _kept_where(_map(lambda token: token != "findme", rasp.tokens, "is_other"), otherwise="-")


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="91",
    description="0 where the token is smaller than 3, the token elsewhere.",
    roles={
        "is_large": "whether the token is 3 or more",
        "zero_below_three": "the token if it is 3 or more, else 0",
    },
)
def zero_below_three() -> rasp.SOp:
    return _kept_where(_map(lambda token: token >= 3, rasp.tokens, "is_large"), otherwise=0)


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="76",
    description="0 at positions 0, 2, 4, ..., the token at the others.",
    roles={
        "at_odd_position": "whether the index is odd",
        "zero_even_positions": "the token at odd positions, 0 at the others",
    },
)
def zero_even_positions() -> rasp.SOp:
    return _kept_where(_map(lambda index: index % 2 == 1, rasp.indices, "at_odd_position"), otherwise=0)


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="56",
    description="0 at positions 2, 5, 8, ..., the token at the others.",
    roles={
        "not_every_third": "whether the index leaves another remainder than 2 when divided by 3",
        "zero_every_third": "the token, 0 at every third position",
    },
)
def zero_every_third() -> rasp.SOp:
    return _kept_where(_map(lambda index: index % 3 != 2, rasp.indices, "not_every_third"), otherwise=0)


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="106",
    description="The token at position 1, 0 at all others.",
    roles={
        "at_position_one": "whether the index is 1",
        "keep_position_one": "the token at position 1, 0 at the others",
    },
)
def keep_position_one() -> rasp.SOp:
    return _kept_where(_map(lambda index: index == 1, rasp.indices, "at_position_one"), otherwise=0)


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="53",
    description="The token plus 1 at positions 1, 3, 5, ..., the token itself at the others.",
    roles={
        "at_odd_position": "1 where the index is odd, else 0",
        "increment_odd_positions": "the token plus at_odd_position",
    },
)
def increment_odd_positions() -> rasp.SOp:
    return rasp.SequenceMap(
        lambda odd, token: token + odd, _map(lambda index: index % 2, rasp.indices, "at_odd_position"), rasp.tokens
    )


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="48",
    description="The token plus the index of its position.",
    roles={"add_index": "the sum of token and index"},
)
def add_index() -> rasp.SOp:
    return rasp.SequenceMap(lambda token, index: token + index, rasp.tokens, rasp.indices)


@register(
    vocab=tuple(range(5)),
    max_len=4,
    causal=True,
    interpbench_id="15",
    description="Twice the token minus the index of its position, which may be negative.",
    roles={"doubled": "the token times 2", "double_minus_index": "twice the token minus the index"},
)
def double_minus_index() -> rasp.SOp:
    doubled = _map(lambda token: 2 * token, rasp.tokens, "doubled")
    return rasp.SequenceMap(lambda x, index: x - index, doubled, rasp.indices)


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="26",
    description="The token once at position 0, twice at position 1, and so on, as one string.",
    roles={
        "copies": "how many letters to write here, one more than the index",
        "repeat_by_position": "the token's letter that many times",
    },
)
def repeat_by_position() -> rasp.SOp:
    copies = _map(lambda index: index + 1, rasp.indices, "copies")
    return rasp.SequenceMap(lambda token, count: token * count, rasp.tokens, copies)


@register(
    vocab="abc",
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="24",
    description="The token itself, fetched by an attention head: each position attends to itself, where the task was "
    "to find first occurrences.",
    roles={"identity_by_attention": "fetches the token at its own index"},
)
def identity_by_attention() -> rasp.SOp:
    return rasp.Aggregate(rasp.Select(rasp.indices, rasp.indices, rasp.Comparison.EQ), rasp.tokens)


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="49",
    description="The largest multiple of 3 that is not greater than the token.",
    roles={
        "above_multiple": "by how much the token exceeds a multiple of 3, its remainder",
        "floor_to_multiple_of_3": "the token minus above_multiple",
    },
)
def floor_to_multiple_of_3() -> rasp.SOp:
    return rasp.SequenceMap(
        lambda excess, token: token - excess, _map(lambda token: token % 3, rasp.tokens, "above_multiple"), rasp.tokens
    )


@register(
    vocab=_TO_10,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="68",
    description="The smallest multiple of 3 that is not smaller than the token.",
    roles={
        "below_multiple": "by how much the token falls short of a multiple of 3",
        "ceil_to_multiple_of_3": "the token plus below_multiple",
    },
)
def ceil_to_multiple_of_3() -> rasp.SOp:
    return rasp.SequenceMap(
        lambda lack, token: token + lack, _map(lambda token: -token % 3, rasp.tokens, "below_multiple"), rasp.tokens
    )


@register(
    vocab=tuple(range(-20, 20)),
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="102",
    description="The token reflected into 2 to 7, as a ball between two walls: up from 2 to 7, down again, and so on.",
    roles={
        "phase": "how far the token has come since it last left 2, (token - 2) modulo 10",
        "reflect_2_7": "2 plus the phase on the way up, 2 plus what is left of 10 on the way down",
    },
)
def reflect_2_7() -> rasp.SOp:
    phase = _map(lambda token: (token - 2) % 10, rasp.tokens, "phase")
    return rasp.Map(lambda t: 2 + min(t, 10 - t), phase, simplify=False)


@register(
    vocab=tuple(range(29)),
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="40",
    description="The sum of the token's decimal digits.",
    roles={
        "tens": "the token's first digit",
        "ones": "the token's last digit",
        "digit_sum": "the sum of the two digits",
    },
)
def digit_sum() -> rasp.SOp:
    tens, ones = _map(lambda token: token // 10, rasp.tokens, "tens"), _map(lambda x: x % 10, rasp.tokens, "ones")
    return rasp.SequenceMap(lambda x, y: x + y, tens, ones)


@register(
    vocab=sorted(map(str, _TO_29)),
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="30",
    description="True where the token, a number written as a string, is at least 10 and at most 20, else False.",
    roles={
        "at_least_10": "whether the number is 10 or more",
        "at_most_20": "whether the number is 20 or less",
        "in_range_10_20": "whether the number is from 10 to 20",
    },
)
def in_range_10_20() -> rasp.SOp:
    at_least_10 = _map(lambda token: int(token) >= 10, rasp.tokens, "at_least_10")
    at_most_20 = _map(lambda token: int(token) <= 20, rasp.tokens, "at_most_20")
    return rasp.SequenceMap(lambda x, y: x and y, at_least_10, at_most_20)


@register(
    vocab=WORDS,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="33",
    description="True where the word has an even number of letters, else False.",
    roles={
        "word_length": "the number of letters of the word",
        "even_word_length": "whether the number of letters is even",
    },
)
def even_word_length() -> rasp.SOp:
    return rasp.Map(lambda length: length % 2 == 0, _map(len, rasp.tokens, "word_length"), simplify=False)


@register(
    vocab=WORDS,
    max_len=_MAX_LEN,
    causal=True,
    interpbench_id="34",
    description="The number of the word's vowels divided by that of its other letters, infinite where it has only "
    "vowels, as no word of this vocabulary has.",
    roles={
        "vowels": "how many letters of the word are vowels",
        "consonants": "how many letters of the word are none",
        "vowel_ratio": "the number of vowels divided by that of the other letters",
    },
)
def vowel_ratio() -> rasp.SOp:
    vowels = _map(lambda word: sum(letter in _VOWELS for letter in word), rasp.tokens, "vowels")
    consonants = _map(lambda word: sum(letter not in _VOWELS for letter in word), rasp.tokens, "consonants")
    return rasp.SequenceMap(lambda x, y: x / y if y else math.inf, vowels, consonants)


def _map(function: Callable[[Any], Token], sop: rasp.SOp, name: str) -> rasp.SOp:
    return rasp.Map(function, sop).named(name)


def _kept_where(condition: rasp.SOp, otherwise: Token | None = None) -> rasp.SOp:
    """The token where the condition holds, else what is given."""
    return rasp.SequenceMap(lambda holds, token: token if holds else otherwise, condition, rasp.tokens)
