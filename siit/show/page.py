"""The page: one HTML file that holds the pictures and needs nothing else; every text in it is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence

from siit._text import printable
from siit.bundle import Bundle
from siit.certificate import Certificate
from siit.certificate.report import COLUMNS, evidence_line, rows
from siit.graph.circuit import Circuit
from siit.graph.tiers import tier
from siit.show.effects import Effects
from siit.show.example import Example
from siit.show.shares import part_rows
from siit.show.words import PROGRAM, about_roles

_SCALE = 0.6
_PART_COLUMNS = ("part", "carries", "of all answers, change", "of those that should change, change: the effect")
_ABOUT_SHARES = (
    "Two shares for each part, of different wholes. The first is the picture's: of all scored answers, how many change "
    "when this part alone is replaced. The second is the certificate's effect: what carries one variable, or one edge "
    "of the causal model, is replaced together, and only those positions count at which the causal model's answer "
    "changes too. A part whose value seldom decides the answer has a small first share and a second near 100 %."
)
_ABOUT_EFFECT = (
    "An effect is the share of answers that change among those that the causal model changes; the table of the parts "
    "has both shares with what they are counted in. A certificate asks that none is zero."
)
_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 72rem; background: #fff; color: #1d2433;
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.7rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .5rem; font-size: 1.2rem; }
p { max-width: 46rem; margin: .5rem 0; }
.facts { color: #5b6475; }
.yes, .no { display: inline-block; padding: .05rem .6rem; border-radius: 1rem; font-weight: 600; }
.yes { background: #d9f0e7; color: #00573f; }
.no { background: #fbe3d6; color: #8a2f06; }
figure { margin: .5rem 0; overflow-x: auto; }
img { display: block; border: 1px solid #e3e6ec; border-radius: .5rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #e3e6ec; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { color: #5b6475; font-weight: 600; }
"""


def page(
    bundle: Bundle,
    certificate: Certificate,
    example: Example,
    effects: Effects,
    pictures: Mapping[str, bytes],
) -> bytes:
    """The page as UTF-8.

    Args:
        bundle: the model.
        certificate: the one that is stored with it.
        example, effects: what the pictures show.
        pictures: `circuit`, `attention` and `effects`, as PNG.
    """
    config, circuit = bundle.config, bundle.circuit
    title = f"{bundle.case}, seed {bundle.seed}"
    facts = (
        f"{config.n_layers} layers of {config.n_heads} heads, d_model {config.d_model}, "
        f"{config.attention_dir} attention, {bundle.answers.output} answers, tier {tier(circuit)}, "
        f"{len(circuit.unit_of)} of {config.n_layers * (config.n_heads + 1)} heads and MLPs on the circuit"
    )
    verdict = f'<span class="{"yes" if certificate.certified else "no"}">{_text(certificate.verdict)}</span>'
    body = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="facts">{_text(facts)}</p>',
        f"<p>{verdict}</p>",
        "<h2>The circuit</h2>",
        _picture("circuit", f"The circuit of {title}", pictures),
        "<h2>What each node does</h2>",
        f"<p>{_text(_about_roles(circuit))}</p>",
        _roles(circuit),
        "<h2>Attention on one example</h2>",
        f"<p>{_text(_about_example(example))}</p>",
        _picture("attention", f"Attention patterns of {title}", pictures),
        "<h2>What each part does, measured</h2>",
        f"<p>{_text(_about_effects(effects))}</p>",
        _picture("effects", f"Effects of the nodes and edges of {title}", pictures),
        "<h2>The parts of the circuit</h2>",
        f"<p>{_text(_ABOUT_SHARES)}</p>",
        _table(_PART_COLUMNS, part_rows(circuit, certificate, effects)),
        *_excluded(bundle),
        "<h2>The certificate</h2>",
        f"<p>{_text(evidence_line(certificate))}.</p>",
        _table(COLUMNS, rows(certificate)),
        f"<p>{_text(_ABOUT_EFFECT)}</p>",
        *[f"<p>{_text(line)}</p>" for line in certificate.failed],
    ]
    return _document(title, body).encode()


def _document(title: str, body: Sequence[str]) -> str:
    # Nothing is ever fetched and no script runs, whatever the texts above were to hold.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def _text(text: str) -> str:
    return html.escape(printable(text))


def _picture(name: str, words: str, pictures: Mapping[str, bytes]) -> str:
    data = base64.b64encode(pictures[name]).decode()
    # A PNG's width in pixels, which is more than a screen's for the same inches; wide pictures are scrolled.
    width = round(int.from_bytes(pictures[name][16:20]) * _SCALE)
    return f'<figure><img alt="{_text(words)}" width="{width}" src="data:image/png;base64,{data}"></figure>'


def _table(heads: Iterable[str], lines: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f'<div class="table"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _roles(circuit: Circuit) -> str:
    if circuit.mixes_roles:
        lines = [(node, circuit.unit_of.get(node, ""), circuit.roles.get(node, "")) for node in circuit.members]
        return _table(("node", "unit", "role"), lines)
    texts = [
        (node, circuit.unit_of.get(node, ""), circuit.roles.get(node, ""), circuit.programs.get(node, ""))
        for node in circuit.members
    ]
    return _table(("node", "unit", "role: the value that it carries (measured)", f"{PROGRAM} (not measured)"), texts)


def _about_roles(circuit: Circuit) -> str:
    if circuit.mixes_roles:
        return about_roles(circuit)
    return (
        "The role is the value that a node carries; interchange interventions measure that it does. The program says "
        "how this value would be computed, where a head would look included: nothing measures that, and the model may "
        "come by the value in another way. The attention below shows what its heads do."
    )


def _about_example(example: Example) -> str:
    scored = sum(answer is not None for answer in example.right)
    wrong = sum(example.wrong)
    verdict = "all of them right" if not wrong else f"{wrong} of them wrong"
    return (
        f"Input: {example.name}. The model has {scored} scored answers here, {verdict if scored else 'none to judge'}. "
        "A row of a pattern is a query: how much of its attention goes to each key."
    )


def _about_effects(effects: Effects) -> str:
    if effects.replacement == "zero":
        how = "zero"
    elif effects.permuted:
        how = "what it is when the model reads the pair's other input, or, for position embeddings, permuted positions"
    else:
        how = "what it is when the model reads the pair's other input"
    return (
        f"Each node, and each edge between members of the circuit, is replaced alone, by {how}. A cell is the "
        f"percentage of the {effects.scored:,} scored answers of {effects.pairs:,} held-out pairs at which the model's "
        "answer is then another. What the labels have on the circuit is framed: everything else should be 0, or nearly "
        "so. A frame around a 0 is a part that matters too rarely, or only together with others, to show here."
    )


def _excluded(bundle: Bundle) -> list[str]:
    excluded = bundle.circuit.excluded
    if not excluded:
        return []
    return ["<h2>Left out of the circuit</h2>", _table(("edge of the causal model", "why"), list(excluded.items()))]
