"""Text from outside, and that there is one way to print it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import siit
from siit._text import listed, one_line, printable, shortened


def test_names_do_not_steer_the_terminal():
    assert printable("a1.h0 \x1b[2J≥") == "a1.h0 \N{REPLACEMENT CHARACTER}[2J≥"


@given(st.text())
def test_an_error_is_one_line(text: str):
    line = one_line(ValueError(text))
    assert line.isprintable() and len((line + "x").splitlines()) == 1


def test_the_words_of_an_error_stay():
    assert one_line(ValueError("vocab:\n  found\t3,\x07 accepted is 4")) == (
        "vocab: found 3,\N{REPLACEMENT CHARACTER} accepted is 4"
    )


@pytest.mark.parametrize("found", ["x" * 10_000, list(range(10_000)), tuple("ab" * 999), {n: n for n in range(999)}])
def test_what_was_found_is_cut_where_it_is_long(found: object):
    assert len(shortened(found)) <= 125 and "..." in shortened(found)
    assert shortened("as it is") == "'as it is'" and shortened(("a", 1, None)) == "('a', 1, None)"


def test_of_many_names_a_few_are_listed():
    assert listed(["a", "b", "c"]) == "a, b, c" and listed([]) == ""
    assert listed(["a", "b", "c", 4, "e"]) == "a, b, c and 2 more"
    assert listed(range(5), most=1) == "0 and 4 more"


def test_there_is_one_function_for_text_from_outside():
    root = Path(siit.__file__).parent
    found = [path.relative_to(root) for path in root.rglob("*.py") if "isprintable" in path.read_text()]
    assert found == [Path("_text.py")]
