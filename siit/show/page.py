"""The page: one HTML file that holds the pictures and needs nothing else; every text in it is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from siit.bundle import Bundle
from siit.certificate import Certificate
from siit.certificate.report import COLUMNS, evidence_line, rows
from siit.graph.circuit import Circuit
from siit.graph.tiers import tier
from siit.show.document import document, escaped, table
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


def page(
    bundle: Bundle,
    certificate: Certificate,
    example: Example,
    effects: Effects,
    pictures: Mapping[str, bytes],
) -> bytes:
    """Makes the page, as UTF-8.

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
    verdict = f'<span class="{"yes" if certificate.certified else "no"}">{escaped(certificate.verdict)}</span>'
    body = [
        f"<h1>{escaped(title)}</h1>",
        f'<p class="facts">{escaped(facts)}</p>',
        f"<p>{verdict}</p>",
        "<h2>The circuit</h2>",
        _picture("circuit", f"The circuit of {title}", pictures),
        "<h2>What each node does</h2>",
        f"<p>{escaped(_about_roles(circuit))}</p>",
        _roles(circuit),
        "<h2>Attention on one example</h2>",
        f"<p>{escaped(_about_example(example))}</p>",
        _picture("attention", f"Attention patterns of {title}", pictures),
        "<h2>What each part does, measured</h2>",
        f"<p>{escaped(_about_effects(effects))}</p>",
        _picture("effects", f"Effects of the nodes and edges of {title}", pictures),
        "<h2>The parts of the circuit</h2>",
        f"<p>{escaped(_ABOUT_SHARES)}</p>",
        table(_PART_COLUMNS, part_rows(circuit, certificate, effects)),
        *_left_out(bundle),
        "<h2>The certificate</h2>",
        f"<p>{escaped(evidence_line(certificate, bundle.config.n_ctx))}.</p>",
        table(COLUMNS, rows(certificate)),
        f"<p>{escaped(_ABOUT_EFFECT)}</p>",
        *[f"<p>{escaped(line)}</p>" for line in certificate.failed],
    ]
    return document(title, body).encode()


def _picture(name: str, words: str, pictures: Mapping[str, bytes]) -> str:
    data = base64.b64encode(pictures[name]).decode()
    # A PNG's width in pixels, which is more than a screen's for the same inches; wide pictures are scrolled.
    width = round(int.from_bytes(pictures[name][16:20]) * _SCALE)
    return f'<figure><img alt="{escaped(words)}" width="{width}" src="data:image/png;base64,{data}"></figure>'


def _roles(circuit: Circuit) -> str:
    if circuit.mixes_roles:
        lines = [(node, circuit.unit_of.get(node, ""), circuit.roles.get(node, "")) for node in circuit.members]
        return table(("node", "unit", "role"), lines)
    texts = [
        (node, circuit.unit_of.get(node, ""), circuit.roles.get(node, ""), circuit.programs.get(node, ""))
        for node in circuit.members
    ]
    return table(("node", "unit", "role: the value that it carries (measured)", f"{PROGRAM} (not measured)"), texts)


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


def _left_out(bundle: Bundle) -> list[str]:
    left_out = [*bundle.circuit.excluded.items(), *bundle.circuit.idle.items()]
    return ["<h2>Left out of the circuit</h2>", table(("variable or edge", "why"), left_out)] if left_out else []
