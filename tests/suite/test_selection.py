"""Which cases a suite has, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from siit._command_line import UsageError
from siit.catalogue import IOI, catalogue
from siit.suite.selection import choose, longest_first, read_list, size


def test_by_default_it_is_the_catalogue_the_longest_first():
    cases = choose(None)
    assert sorted(cases) == sorted(catalogue())
    assert cases[:3] == ["ioi_full", "ioi", "ioi_next_token"]
    edges = [catalogue()[name].circuit_edges for name in cases if catalogue()[name].family != IOI]
    assert edges == sorted(edges, reverse=True)


def test_by_tier_and_family():
    deep = choose(None, tiers=["deep"], families=["sorting", "text"])
    assert deep == ["sort_words_by_length", "sort_digits"]
    assert choose(["reverse", "square", "reverse"], tiers=["pointwise"]) == ["square"]
    assert choose(["random-deep-7", "square"], tiers=["deep"]) == ["random-deep-7"]


def test_a_drawn_program_stands_among_those_of_its_tier():
    edges = [case.circuit_edges for case in catalogue().values() if case.tier == "single"]
    assert size("random-single-3") == sum(edges) / len(edges)
    assert longest_first(["square", "random-deep-0", "ioi"]) == ["ioi", "random-deep-0", "square"]


def test_a_list_has_a_case_on_each_line(tmp_path: Path):
    (tmp_path / "list").write_text("# The starter.\nreverse\n\n  ioi  # the first one\n")
    assert read_list(tmp_path / "list") == ["reverse", "ioi"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["revers"],), "case: found 'revers'; did you mean reverse"),
        (([""],), "case: found ''; `siit cases` lists all"),
        ((["square"], ["deep"]), "found none of 1 cases"),
        ((["random-deep-0"], None, ["sorting"]), "found none of 1 cases"),
    ],
)
def test_what_cannot_be_chosen(arguments: tuple[list[str], ...], message: str):
    with pytest.raises(UsageError, match=message):
        choose(*arguments)


@pytest.mark.parametrize("content", [b"# nothing\n", b"\xff\xfe", None])
def test_what_is_no_list(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    with pytest.raises(UsageError, match="accepted is a file with a case on each line"):
        read_list(tmp_path / "list")
