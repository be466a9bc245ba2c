"""The page: what it holds, that it needs nothing else, and that nothing in a bundle becomes part of its code."""

from __future__ import annotations

import base64
import dataclasses
import io
from html.parser import HTMLParser

import matplotlib.image
import pytest

from siit.bundle import Bundle, BundleError
from siit.show.draw import draw_model
from tests.builders import handmade
from tests.builders.shown import EVIL, evil_bundle, large_bundle, random_bundle

_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span"),
    *("figure", "img", "div", "table", "tr", "th", "td"),
}


class _Reader(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.closed: list[str] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.closed.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _check(files: dict[str, bytes]) -> _Reader:
    """Structure, and that nothing is fetched."""
    page = _Reader(files["index.html"])
    assert {tag for tag, _ in page.tags} <= _TAGS
    opened = sorted(tag for tag, _ in page.tags if tag not in ("meta", "img"))
    assert opened == sorted(page.closed)
    pictures = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    names = ["circuit.png", "attention.png", "effects.png"]
    assert pictures == [f"data:image/png;base64,{base64.b64encode(files[name]).decode()}" for name in names]
    for tag, attributes in page.tags:
        accepted = {"alt", "width", "src"} if tag == "img" else {"class", "lang", "charset", "name", "content"}
        assert attributes.keys() <= accepted | ({"http-equiv"} if tag == "meta" else set())
    policy = next(attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes)
    assert policy is not None and policy.startswith("default-src 'none'")
    for name in names:
        height, width, _ = matplotlib.image.imread(io.BytesIO(files[name]), format="png").shape
        assert 300 < height <= 12_000 and 600 < width <= 12_000
    return page


def test_what_it_holds():
    page = _check(draw_model(handmade.bundle()))
    for words in (
        *("previous_is_x, seed 0", "2 layers of 3 heads", "categorical answers", "certified"),
        *("at the position up to its own", "looks at the one before", "(measured)", "program (not measured)"),
        *("is_x->prev<v>", "m0->a1.h0<v>", "50 % of 768", "100 % of"),
        *("strict_edge", "1.00000", "≥ 0.999", "holds", "256 pairs; every number rests on at least"),
        *("evidence, base of pair 0", "all of them right", "permuted positions", "768 scored answers"),
    ):
        assert words in page.text, words
    assert "NOT certified" not in page.text


def test_roles_of_an_earlier_version_are_said_to_mix_both():
    bundle = handmade.bundle()
    page = _check(draw_model(dataclasses.replace(bundle, circuit=dataclasses.replace(bundle.circuit, programs={}))))
    assert "Roles as an earlier version wrote them" in page.text and "at the position up to its own" in page.text
    assert "(measured)" not in page.text and "not measured)" not in page.text


def test_zero_and_an_input_of_ones_own():
    page = _check(draw_model(handmade.bundle(), tokens="x,x,a,a", replace="zero", pairs=7))
    assert "Input: tokens given." in page.text and "alone, by zero." in page.text and "of 7 held-out pairs" in page.text


def test_nothing_in_a_bundle_becomes_code():
    files = draw_model(evil_bundle())
    page = _check(files)
    shown = EVIL.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    # The title, roles, units, carried edges, left-out edges and the certificate's table.
    assert page.text.count(shown) > 10
    assert b"<script" not in files["index.html"] and b"\x1b" not in files["index.html"]
    assert b"http://x.test" in files["index.html"].replace(b"&#x27;", b"")  # as text only


@pytest.mark.parametrize(
    "bundle",
    [
        pytest.param(random_bundle(numerical=True), id="numerical"),
        pytest.param(random_bundle(numerical=False, normalized=False), id="categorical"),
        pytest.param(large_bundle(3, 4), id="words", marks=pytest.mark.slow),
    ],
)
def test_other_models(bundle: Bundle):
    certificate = {**handmade.bundle().certificate, "certified": False, "failed": ["accuracy: 0.5 is below"]}
    page = _check(draw_model(dataclasses.replace(bundle, certificate=certificate), pairs=4, example=1))
    assert "NOT certified" in page.text and "accuracy: 0.5 is below" in page.text
    assert "within first" in page.text or "within duplicate" in page.text


def test_no_head_on_the_circuit():
    bundle = handmade.bundle()
    circuit = dataclasses.replace(bundle.circuit, alignment={}, carries={}, roles={})
    _check(draw_model(dataclasses.replace(bundle, circuit=circuit), pairs=4))


@pytest.mark.slow
def test_a_large_model():
    certificate = handmade.bundle().certificate
    _check(draw_model(dataclasses.replace(large_bundle(), certificate=certificate), pairs=2))


def test_a_certificate_without_a_table():
    bundle = handmade.bundle()
    without = {**bundle.certificate, "details": {**bundle.certificate["details"], "effect": {}}}
    with pytest.raises(BundleError, match=r"^certificate.json: details.effect: found \{\}, accepted is an object of"):
        draw_model(dataclasses.replace(bundle, certificate=without), pairs=1)


def test_a_device_that_torch_cannot_use_is_named():
    with pytest.raises(ValueError, match=r"device: found 'cuda:77' \(.*\), accepted is a device that torch can use"):
        draw_model(handmade.bundle(), device="cuda:77")
