"""Programs about numbers: sums, comparisons and ciphers. Long numbers are one bit, or one column of bits, per token."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import (
    NOWHERE,
    count,
    count_all,
    count_before_here,
    count_up_to_here,
    fetch_where_none,
    places,
    token_at,
)

_MAX_LEN = 8
_COLUMNS = ("00", "01", "10", "11")
"""Columns of two binary numbers, one above the other."""
_LETTERS = "abcdef"

_CARRY = {
    "settled_at": "the index of a column whose bits are equal, so that its carry is settled; else behind all positions",
    "generates_at": "the index of a column 11, which generates a carry, else a place behind all positions",
    "generator_share": "a column 11 attends to settled columns up to itself and BOS: the attention left on BOS is "
    "1 / (1 + their number)",
    "generator": "a column 11's ordinal among the settled ones; 0 for other columns",
    "settled_before_share": "attends to settled columns before and BOS: the attention left on BOS is 1 / (1 + number)",
    "settled_before": "the number of settled columns before this one: the last one's ordinal",
    "carry_share": "attends to a generator with that ordinal and BOS: 1/2 is left on BOS if there is one, else 1",
    "carry": "whether the last settled column before this one generates a carry, as 0 or 1",
}


def _carry() -> rasp.SOp:
    """The carry into this column: 1 if the last column before with equal bits is 11."""
    settled_at = places(lambda column, index: column in ("00", "11"), rasp.tokens, "settled_at")
    generates_at = places(lambda column, index: column == "11", rasp.tokens, "generates_at")
    generator = count(settled_at, generates_at, lambda key, query: key <= query < NOWHERE, "generator")
    before = count_before_here(settled_at, "settled_before")
    return count(generator, before, lambda key, query: key == query and query > 0, "carry")


@register(
    vocab=_COLUMNS,
    max_len=_MAX_LEN,
    causal=True,
    balanced=True,
    description="The carry into this column when two binary numbers are added; a token is a column of two bits, the "
    "lowest first.",
    roles=_CARRY,
)
def carry() -> rasp.SOp:
    return _carry()


@register(
    vocab=_COLUMNS,
    max_len=_MAX_LEN,
    causal=True,
    description="The sum of two binary numbers; a token is a column of two bits, the lowest first.",
    roles={
        **_CARRY,
        "binary_addition": "the bit of the sum: whether carry and column have an odd number of ones",
    },
)
def binary_addition() -> rasp.SOp:
    bit = rasp.SequenceMap(lambda carry, column: (carry + column.count("1")) % 2, _carry(), rasp.tokens)
    return bit.named("binary_addition")


@register(
    vocab=_COLUMNS,
    max_len=_MAX_LEN,
    balanced=True,
    description="Which of two binary numbers is larger: '<', '=' or '>' at every position; a token is a column of two "
    "bits, the highest first.",
    roles={
        "difference": "the index of a column whose bits differ, together with which is larger; else behind all others",
        "earlier_differences_share": "attends to earlier differences and BOS: the attention left on BOS is "
        "1 / (1 + number)",
        "earlier_differences": "the number of earlier differences, 0 at the first (everywhere, if there is none)",
        "first_difference": "fetches the difference that has none before it",
        "compare_binary": "which number has the larger bit there",
    },
)
def compare_binary() -> rasp.SOp:
    def difference(column: str, index: int) -> int:
        return {"01": 2 * index, "10": 2 * index + 1}.get(column, NOWHERE)

    key = rasp.SequenceMap(difference, rasp.tokens, rasp.indices).named("difference")
    earlier = count(key, key, lambda key, query: key < query, "earlier_differences")
    first = fetch_where_none(key, earlier, "first_difference")
    return rasp.Map(lambda first: "=" if first == NOWHERE else ">" if first % 2 else "<", first).named("compare_binary")


@register(
    vocab=(0, 1),
    max_len=_MAX_LEN,
    causal=True,
    description="A binary number plus one, the lowest bit first; what overflows is dropped.",
    roles={
        "zero_at": "the index where there is a 0, else a place behind all positions",
        "zeros_before_share": "attends to 0 before and BOS: the attention left on BOS is 1 / (1 + their number)",
        "zeros_before": "the number of 0 before; none means that the carry arrives here",
        "binary_increment": "the bit, flipped where the carry arrives",
    },
)
def binary_increment() -> rasp.SOp:
    zeros = count_before_here(places(lambda bit, index: bit == 0, rasp.tokens, "zero_at"), "zeros_before")
    return rasp.SequenceMap(lambda zeros, bit: bit if zeros else 1 - bit, zeros, rasp.tokens).named("binary_increment")


@register(
    vocab=(0, 1),
    max_len=_MAX_LEN,
    causal=True,
    description="The two's complement of a binary number, the lowest bit first.",
    roles={
        "one_at": "the index where there is a 1, else a place behind all positions",
        "ones_before_share": "attends to 1 before and BOS: the attention left on BOS is 1 / (1 + their number)",
        "ones_before": "the number of 1 before",
        "twos_complement": "the bit, flipped behind the first 1",
    },
)
def twos_complement() -> rasp.SOp:
    ones = count_before_here(places(lambda bit, index: bit == 1, rasp.tokens, "one_at"), "ones_before")
    return rasp.SequenceMap(lambda ones, bit: 1 - bit if ones else bit, ones, rasp.tokens).named("twos_complement")


@register(
    vocab=(0, 1),
    max_len=_MAX_LEN,
    description="A binary number modulo 3, the lowest bit first, at every position.",
    roles={
        "weight": "the bit times its power of two, modulo 3: 0, 1 or 2",
        "ones_share": "attends to weights of 1 and BOS: the attention left on BOS is 1 / (1 + their number)",
        "ones": "the number of weights of 1",
        "twos_share": "attends to weights of 2 and BOS: the attention left on BOS is 1 / (1 + their number)",
        "twos": "the number of weights of 2",
        "binary_modulo_three": "the sum of the weights, modulo 3",
    },
)
def binary_modulo_three() -> rasp.SOp:
    weight = rasp.SequenceMap(lambda bit, index: bit * (1, 2)[index % 2], rasp.tokens, rasp.indices).named("weight")
    ones, twos = count_all(weight, lambda w: w == 1, "ones"), count_all(weight, lambda w: w == 2, "twos")
    return rasp.SequenceMap(lambda ones, twos: (ones + 2 * twos) % 3, ones, twos).named("binary_modulo_three")


@register(
    vocab=(0, 1, 2),
    max_len=_MAX_LEN,
    description="The sum of all tokens modulo 3, at every position.",
    roles={
        "ones_share": "attends to 1 and BOS: the attention left on BOS is 1 / (1 + their number)",
        "ones": "the number of 1",
        "twos_share": "attends to 2 and BOS: the attention left on BOS is 1 / (1 + their number)",
        "twos": "the number of 2",
        "modular_sum": "the sum of the tokens, modulo 3",
    },
)
def modular_sum() -> rasp.SOp:
    ones, twos = count_all(rasp.tokens, lambda n: n == 1, "ones"), count_all(rasp.tokens, lambda n: n == 2, "twos")
    return rasp.SequenceMap(lambda ones, twos: (ones + 2 * twos) % 3, ones, twos).named("modular_sum")


@register(
    vocab=(0, 1, 2),
    max_len=_MAX_LEN,
    causal=True,
    description="The sum of the tokens up to and including this position, modulo 3.",
    roles={
        "one_at": "the index where there is a 1, else a place behind all positions",
        "two_at": "the index where there is a 2, else a place behind all positions",
        "ones_share": "attends to 1 up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "ones": "the number of 1 up to here",
        "twos_share": "attends to 2 up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "twos": "the number of 2 up to here",
        "running_modular_sum": "the sum of the tokens up to here, modulo 3",
    },
)
def running_modular_sum() -> rasp.SOp:
    ones = count_up_to_here(places(lambda token, index: token == 1, rasp.tokens, "one_at"), "ones")
    twos = count_up_to_here(places(lambda token, index: token == 2, rasp.tokens, "two_at"), "twos")
    return rasp.SequenceMap(lambda ones, twos: (ones + 2 * twos) % 3, ones, twos).named("running_modular_sum")


@register(
    vocab=_LETTERS,
    max_len=_MAX_LEN,
    description="The letters moved along the alphabet (a to f, around the end) by the first one, 'a' being 0; forwards "
    "if the second is 'a', 'b' or 'c', else backwards.",
    roles={
        "key": "the token at the first position",
        "direction": "the token at the second position",
        "shift": "by how many letters to move, modulo 6",
        "caesar_shift": "the letter moved by the shift",
    },
)
def caesar_shift() -> rasp.SOp:
    def signed(key: str, direction: str) -> int:
        return _LETTERS.index(key) * (1 if direction in "abc" else -1) % len(_LETTERS)

    def moved(shift: int, letter: str) -> str:
        return _LETTERS[(_LETTERS.index(letter) + shift) % len(_LETTERS)]

    shift = rasp.SequenceMap(signed, token_at(0, "key"), token_at(1, "direction")).named("shift")
    return rasp.SequenceMap(moved, shift, rasp.tokens).named("caesar_shift")


@register(
    vocab=range(5),
    max_len=_MAX_LEN,
    description="An affine cipher: the token times the first one, plus the second one, modulo 5.",
    roles={
        "factor": "the token at the first position",
        "offset": "the token at the second position",
        "product": "the token times the factor, modulo 5",
        "affine_cipher": "the product plus the offset, modulo 5",
    },
)
def affine_cipher() -> rasp.SOp:
    product = rasp.SequenceMap(lambda x, factor: x * factor % 5, rasp.tokens, token_at(0, "factor")).named("product")
    return rasp.SequenceMap(lambda x, offset: (x + offset) % 5, product, token_at(1, "offset")).named("affine_cipher")
