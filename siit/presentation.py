"""Shows a loaded model in about ten lines of text, or as HTML in a notebook."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from siit._extras import require
from siit._text import printable
from siit.bundle import Bundle
from siit.certificate import Certificate
from siit.certificate.report import COLUMNS, rows
from siit.graph.picture import circuit_text
from siit.graph.tiers import tier

if TYPE_CHECKING:
    from siit.loading import LoadedCircuit

_LISTED = 12
"""Tokens and classes that are listed."""
_WORST = 3
_STYLE = "font: 14px/1.45 system-ui, sans-serif"
_CELL = "text-align: left; padding: 0 1em 0 0"


def text(loaded: LoadedCircuit, ways: Sequence[str]) -> str:
    """Describes a model or its labels.

    Args:
        loaded: what is described.
        ways: how to go on, each an expression and what it gives.
    """
    name = type(loaded).__name__
    lines = [f"{name} {printable(loaded.case)}, seed {loaded.seed}, {_verdict(loaded.bundle)}"]
    lines += [f"  {label:<9} {words}" for label, words in facts(loaded.bundle)]
    wide = max(len(way.partition("  ")[0]) for way in ways)
    for index, way in enumerate(ways):
        expression, _, gives = way.partition("  ")
        lines.append(f"  {'go on' if not index else '':<9} {expression:<{wide}}  {gives.strip()}")
    return "\n".join(lines)


def facts(bundle: Bundle) -> list[tuple[str, str]]:
    """Lists what a bundle holds: a word and what there is to say of it."""
    config, circuit, vocab = bundle.config, bundle.circuit, bundle.vocab
    special = (vocab.bos_id, vocab.pad_id)
    tokens = [token for index, token in enumerate(vocab.tokens) if index not in special]
    room = config.n_ctx - 1
    length = f"{room} of" if vocab.pad_id is None else f"up to {room} of"
    if vocab.classes is None:
        answers = f"a number (right within {bundle.answers.tolerance:g})"
    else:
        answers = f"{len(vocab.classes)} classes: {_listed(vocab.classes)}"
    norm = "LayerNorm" if config.normalization_type == "LN" else "no normalization"
    shape = (
        f"{config.n_layers} layers of {config.n_heads} heads, d_model {config.d_model}, {config.attention_dir}, {norm}"
    )
    heads = sum(node.startswith("a") for node in circuit.unit_of)
    counts = {"head": heads, "MLP": len(circuit.unit_of) - heads, "edge": len(circuit.carries)}
    sizes = ", ".join(f"{count} {name}{'s' if count != 1 else ''}" for name, count in counts.items())
    return [
        ("tier", tier(circuit)),
        ("input", f"{length} {len(tokens)} tokens: {_listed(tokens)}"),
        ("answers", answers),
        ("model", shape),
        ("circuit", sizes),
        ("measured", _shares(bundle)),
    ]


def page(loaded: LoadedCircuit) -> str:
    """Describes a model as HTML: its facts, its circuit's picture, and its certificate."""
    title = f"{loaded.case}, seed {loaded.seed}: {_verdict(loaded.bundle)}"
    shares = _table(COLUMNS, rows(Certificate.from_json(loaded.bundle.certificate)))
    body = [f"<b>{_escaped(title)}</b>", _table((), facts(loaded.bundle)), circuit_html(loaded, title), shares]
    return f'<div style="{_STYLE}">{"".join(body)}</div>'


def circuit_html(loaded: LoadedCircuit, title: str) -> str:
    """Draws the circuit as an image, or as text where matplotlib is not installed."""
    try:
        require("matplotlib", extra="show", needed_by="a picture")
    except ImportError:
        return f"<pre>{_escaped_lines(circuit_text(loaded.circuit))}</pre>"
    from siit.show.circuit_picture import circuit_picture

    data = base64.b64encode(circuit_picture(loaded.circuit, title)).decode()
    return f'<img alt="{_escaped(title)}" style="max-width: 100%" src="data:image/png;base64,{data}">'


def _verdict(bundle: Bundle) -> str:
    return Certificate.from_json(bundle.certificate).verdict


def _shares(bundle: Bundle) -> str:
    """Names the worst shares of the certificate, the least first; or the bars that do not hold."""
    certificate = Certificate.from_json(bundle.certificate)
    if certificate.failed:
        more = len(certificate.failed) - _WORST
        return printable("; ".join(certificate.failed[:_WORST])) + (f"; and {more} more" if more > 0 else "")
    values = {name: getattr(certificate, name) for name in certificate.shares}
    below = sorted((value, name) for name, value in values.items() if value is not None and value < 1)
    worst = []
    for value, name in below[:_WORST]:
        where = certificate.worst(name)
        worst.append(f"{name} {value:.5f}{f' ({printable(where[0])})' if where is not None else ''}")
    unmeasured = [name for name, value in values.items() if value is None]
    rest = "every share is 1" if not below else "all others are 1" if len(below) <= _WORST else "all others are above"
    return ", ".join([*worst, rest, *(f"{name} not measured" for name in unmeasured)])


def _listed(values: Sequence[object]) -> str:
    shown = printable(", ".join(map(repr, values[:_LISTED])))
    return shown + (", ..." if len(values) > _LISTED else "")


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    head = [_row("th", heads)] if heads else []
    return f"<table>{''.join([*head, *(_row('td', line) for line in lines)])}</table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    inside = "".join(f'<{tag} style="{_CELL}">{_escaped(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inside}</tr>"


def _escaped(words: str) -> str:
    return html.escape(printable(words))


def _escaped_lines(words: str) -> str:
    return "\n".join(map(_escaped, words.splitlines()))
