"""Every check refuses the program that it is for, and lets the others through."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tracr.rasp import rasp

from siit.training.generator.checks import Rejected, check_compiled, check_program, hidden_nodes
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.programs import own


def _previous(sop: rasp.SOp) -> rasp.SOp:
    return rasp.Aggregate(rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == max(query - 1, 0)), sop)


def _count(sop: rasp.SOp) -> rasp.SOp:
    return rasp.SelectorWidth(rasp.Select(sop, sop, rasp.Comparison.EQ))


def _early() -> rasp.SOp:
    return rasp.Map(lambda token: token < "e", rasp.tokens).named("early")


def _undefined_at_the_start() -> rasp.SOp:
    return rasp.Aggregate(rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - 1), rasp.tokens)


def _never_read() -> rasp.SOp:
    """No count is 9, so that the answer is the token whatever the count."""
    return rasp.SequenceMap(lambda count, token: token if count < 9 else "a", _count(rasp.tokens), rasp.tokens)


def _rarely_read() -> rasp.SOp:
    """Only the longest inputs have a fifth token, and few have 'a' there."""
    rare = rasp.SequenceMap(lambda token, index: token == "a" and index == 4, rasp.tokens, rasp.indices).named("rare")
    return rasp.SequenceMap(lambda flag, token: "b" if flag else token, rare, rasp.tokens)


def _twice() -> rasp.SOp:
    early = _early()
    copy = rasp.Map(lambda flag: 1 if flag else 0, early, simplify=False).named("copy")
    return rasp.SequenceMap(lambda flag, number: 2 if flag and number else 0, early, copy)


@pytest.mark.parametrize(
    ("make", "wanted", "reason"),
    [
        (lambda: rasp.tokens, "pointwise", "it has no causal model: own: the program is just tokens"),
        (lambda: rasp.numerical(rasp.Map(lambda token: token == "a", rasp.tokens)), "pointwise", "not 2 to 10 classes"),
        (lambda: rasp.Map(lambda token: "z", rasp.tokens), "pointwise", "not 2 to 10 classes"),
        (_undefined_at_the_start, "single", "too often undefined"),
        (lambda: rasp.SequenceMap(lambda x, y: x == "a" and y > 1, rasp.tokens, rasp.indices), "pointwise", "frequent"),
        (lambda: rasp.Map(lambda index: index % 2, rasp.indices), "pointwise", "hardly depends on the tokens"),
        (_twice, "pointwise", "compute the same function: early, copy"),
        (_early, "single", "^it is pointwise$"),
        (lambda: _previous(rasp.tokens), "pointwise", "^it is single$"),
        (lambda: _count(_previous(rasp.tokens)), "composed", "too small or too large: 3 nodes, accepted are 4 to 10"),
        (_never_read, "single", "a variable does not matter: "),
        (_rarely_read, "pointwise", "a variable does not matter: rare$"),
    ],
)
def test_refused(make: Callable[[], rasp.SOp], wanted: str, reason: str):
    with pytest.raises(Rejected, match=reason):
        check_program(own(make, vocab="abcdefgh", max_len=5), wanted)


def test_edges_matter_too():
    """Of all positions the last one alone counts, for one token of 24, and only in the longest inputs."""

    def make() -> rasp.SOp:
        def f(token: int, index: int) -> int:
            return (token + 2 * (token == 23 and index == 8)) % 4

        return rasp.SequenceMap(f, rasp.tokens, rasp.indices)

    with pytest.raises(Rejected, match="an edge does not matter: indices->own"):
        check_program(own(make, vocab=range(24), max_len=9), "pointwise")


def test_a_layer_has_no_more_heads_than_the_default_model():
    def make() -> rasp.SOp:
        counts = [
            rasp.SelectorWidth(rasp.Select(rasp.tokens, rasp.tokens, lambda key, query, t=token: key == t))
            for token in "abcde"
        ]
        total = counts[0]
        for count in counts[1:]:
            total = rasp.SequenceMap(lambda x, y: (x + 2 * y) % 3, total, count)
        return total

    with pytest.raises(Rejected, match="a layer needs more than 4 heads"):
        check_program(own(make, vocab="abcdefg", max_len=5), "deep")


@pytest.mark.parametrize(
    ("make", "wanted", "nodes"),
    [
        (_early, "pointwise", 1),
        (lambda: _previous(rasp.tokens), "single", 1),
        (lambda: _count(rasp.tokens), "single", 2),
        (lambda: rasp.SequenceMap(lambda x, y: (x + y) % 3, _count(_previous(rasp.tokens)), _count(rasp.tokens)),
         "composed", 6),
    ],
)  # fmt: skip
def test_taken(make: Callable[[], rasp.SOp], wanted: str, nodes: int):
    found = check_program(own(make, vocab="abcdefgh", max_len=5), wanted)
    assert len(hidden_nodes(found.circuit)) == nodes


def test_what_tracr_compiles_wrongly_is_refused():
    """A mean is 0 at BOS in Tracr's model, so that BOS holds a class, which is counted too; RASP has no BOS."""

    def make() -> rasp.SOp:
        marks = rasp.numerical(rasp.Map(lambda token: 1 if token == "a" else 0, rasp.tokens))
        everywhere = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.TRUE)
        some = rasp.Map(lambda share: share > 0, rasp.numerical(rasp.Aggregate(everywhere, marks, default=0)))
        return _count(some)

    case = own(make, vocab="abc", max_len=5)
    with pytest.raises(Rejected, match=r"Tracr's compiled model or RASP disagrees: own: on .* RASP gives"):
        check_compiled(case, build_causal_model(case))
