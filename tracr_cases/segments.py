"""Programs about the segments between markers. A marker belongs to the segment that it opens."""

from __future__ import annotations

from tracr.rasp import rasp

from tracr_cases.catalogue import register
from tracr_cases.shared import count, count_up_to_here, fetch, fetch_at, flag, places, select, token_at

_MAX_LEN = 8
_SEGMENT = {
    "opens_at": "the index where there is a '|', else a place behind all positions",
    "segment_share": "attends to '|' up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
    "segment": "the number of '|' up to here: which segment this is",
}


def _segment() -> rasp.SOp:
    """The segment's number; 0 before the first '|'."""
    return count_up_to_here(places(lambda token, index: token == "|", rasp.tokens, "opens_at"), "segment")


@register(
    vocab="ab|",
    max_len=_MAX_LEN,
    description="The number of tokens in this position's segment, its '|' included.",
    roles={
        **_SEGMENT,
        "segment_length_share": "attends to the own segment and BOS: the attention left on BOS is 1 / (1 + length)",
        "segment_length": "the number of tokens in the own segment",
    },
)
def segment_length() -> rasp.SOp:
    segment = _segment()
    return count(segment, segment, lambda key, query: key == query, "segment_length")


@register(
    vocab="ax|",
    max_len=_MAX_LEN,
    description="The fraction of 'x' among the tokens of this position's segment, its '|' included.",
    roles={
        **_SEGMENT,
        "is_x": "1 where the token is 'x', else 0",
        "segment_fraction": "averages is_x over the own segment",
    },
)
def segment_fraction() -> rasp.SOp:
    segment, is_x = _segment(), flag(rasp.tokens, "x", "is_x")
    same = select(segment, segment, lambda key, query: key == query)
    return rasp.numerical(rasp.Aggregate(same, is_x, default=0)).named("segment_fraction")


@register(
    vocab="ab|",
    max_len=_MAX_LEN,
    balanced=True,
    description="How often the token at this position occurs in its own segment.",
    roles={
        **_SEGMENT,
        "entry": "the token together with its segment",
        "count_in_segment_share": "attends to equal tokens of the own segment and BOS: the attention left on BOS is "
        "1 / (1 + their number)",
        "count_in_segment": "the number of equal tokens in the own segment",
    },
)
def count_in_segment() -> rasp.SOp:
    base = _MAX_LEN + 1
    entry = rasp.SequenceMap(lambda token, segment: "ab|".index(token) * base + segment, rasp.tokens, _segment())
    entry = entry.named("entry")
    return count(entry, entry, lambda key, query: key == query, "count_in_segment")


@register(
    vocab="|012",
    max_len=_MAX_LEN,
    description="How many tokens the field has whose number is the first token: fields are opened by '|', which counts "
    "to them, but for field 0 before the first '|'; a '|' at the start stands for 0.",
    roles={
        **_SEGMENT,
        "first": "the token at the first position",
        "field_length_share": "attends to the field with that number and BOS: the attention left on BOS is "
        "1 / (1 + length)",
        "field_length": "the number of tokens in that field",
    },
)
def field_length() -> rasp.SOp:
    return count(_segment(), token_at(0, "first"), lambda key, query: key == _number(query), "field_length")


@register(
    vocab="|012",
    max_len=_MAX_LEN,
    description="The last token of the field whose number is the first token, or of the last field if there are fewer: "
    "fields are opened by '|', which counts to them, but for field 0 before the first '|'; a '|' at the start stands "
    "for 0 and is the answer itself.",
    roles={
        **_SEGMENT,
        "first": "the token at the first position",
        "covered_share": "attends to the fields up to that number and BOS: the attention left on BOS is "
        "1 / (1 + their length)",
        "covered": "how many tokens they have together: the index behind the wanted field",
        "field_lookup": "fetches the token before that index",
    },
)
def field_lookup() -> rasp.SOp:
    covered = count(_segment(), token_at(0, "first"), lambda key, query: key <= _number(query), "covered")
    return fetch(rasp.tokens, rasp.indices, covered, lambda key, query: key == max(query - 1, 0), "field_lookup")


def _number(token: str) -> int:
    return 0 if token == "|" else int(token)


@register(
    vocab="abx",
    max_len=_MAX_LEN,
    causal=True,
    description="How many positions ago the last 'x' was, or the start of the sequence if there was none; 0 at an 'x'.",
    roles={
        "x_at": "the index where there is an 'x', else a place behind all positions",
        "xs_share": "attends to 'x' up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "xs": "the number of 'x' up to here",
        "last_x_share": "attends to positions with fewer 'x' and BOS: the attention left on BOS is 1 / (1 + number)",
        "last_x": "the number of positions with fewer 'x': the index of the last 'x'",
        "distance_to_x": "the index minus that of the last 'x'",
    },
)
def distance_to_x() -> rasp.SOp:
    xs = count_up_to_here(places(lambda token, index: token == "x", rasp.tokens, "x_at"), "xs")
    last = count(xs, xs, lambda key, query: key < query, "last_x")
    return rasp.SequenceMap(lambda last, index: max(index - last, 0), last, rasp.indices).named("distance_to_x")


@register(
    vocab="ab_",
    max_len=_MAX_LEN,
    causal=True,
    description="The sequence with every '_' filled by the last letter before it, if there is one.",
    roles={
        "letter_at": "the index where there is a letter, else a place behind all positions",
        "letters_share": "attends to letters up to here and BOS: the attention left on BOS is 1 / (1 + their number)",
        "letters": "the number of letters up to here",
        "last_letter_share": "attends to positions with fewer letters and BOS: the attention left on BOS is "
        "1 / (1 + their number)",
        "last_letter": "the number of positions with fewer letters: the index of the last letter, or 0",
        "forward_fill": "fetches the token at that index",
    },
)
def forward_fill() -> rasp.SOp:
    letters = count_up_to_here(places(lambda token, index: token != "_", rasp.tokens, "letter_at"), "letters")
    return fetch_at(rasp.tokens, count(letters, letters, lambda key, query: key < query, "last_letter"), "forward_fill")


@register(
    vocab="ab'",
    max_len=_MAX_LEN,
    causal=True,
    description="The sequence with every letter inside quotes, behind an odd number of quotation marks, masked by '*'.",
    roles={
        "quote_at": "the index where there is a quotation mark, else a place behind all positions",
        "quotes_share": "attends to quotation marks up to here and BOS: the attention left on BOS is 1 / (1 + number)",
        "quotes": "the number of quotation marks up to here",
        "mask_quoted": "'*' for a letter behind an odd number of them, else the token",
    },
)
def mask_quoted() -> rasp.SOp:
    quotes = count_up_to_here(places(lambda token, index: token == "'", rasp.tokens, "quote_at"), "quotes")
    masked = rasp.SequenceMap(lambda n, token: "*" if n % 2 and token != "'" else token, quotes, rasp.tokens)
    return masked.named("mask_quoted")
