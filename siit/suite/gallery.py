"""Makes the gallery: one HTML file with every certified model and its picture, and why the others are not certified."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from siit._text import duration
from siit.show.document import document, escaped, table
from siit.suite.models import OUTCOMES, WEAKLY, SuiteModel, by_tier

_STYLE = """
body { max-width: 100rem; }
nav a { margin-right: 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(32rem, 100%), 1fr)); gap: 1.25rem;
  align-items: start; }
article { padding: 1rem 1.25rem; border: 1px solid #e3e6ec; border-radius: .5rem; min-width: 0; }
h3 { margin: 0; font-size: 1.05rem; overflow-wrap: anywhere; }
article p { margin: .25rem 0; }
article img { width: 100%; height: auto; border: 0; }
details { font-size: .875rem; }
th, td:not(:last-child) { white-space: nowrap; }
code { font-size: .75rem; overflow-wrap: anywhere; }
"""
_ABOUT = (
    "Each certified model with the picture of its circuit. The worst share is the lowest that its certificate measured "
    "on held-out pairs, over all of its fields; CPU time is that of training and its checks."
)


def gallery(models: Sequence[SuiteModel], pictures: Mapping[str, bytes], pages: Mapping[str, str]) -> bytes:
    """Makes the page, as UTF-8; it needs no other file, and runs nothing.

    Args:
        models: all of the suite.
        pictures: path of a model -> its circuit as PNG; those that lack one are shown without.
        pages: path of a model -> where its page is, from the gallery.
    """
    certified = [model for model in models if model.certified]
    others = [model for model in models if not model.certified]
    groups = by_tier(certified)
    counts = Counter(model.outcome for model in models)
    seconds = sum(model.cpu_seconds or 0.0 for model in models)
    facts = [f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome]]
    links = [(tier, f"{tier} ({len(group)})") for tier, group in groups.items()]
    links += [("others", f"not certified ({len(others)})")] if others else []
    body = [
        "<h1>Gallery</h1>",
        f'<p class="facts">{_count(len(models), "model")}: {escaped(", ".join(facts))}; '
        f"{escaped(duration(seconds))} of CPU time</p>",
        f"<p>{escaped(_ABOUT)}</p>",
        f"<nav>{''.join(_link(f'#{place}', words) for place, words in links)}</nav>",
    ]
    for tier, group in groups.items():
        body += [f'<h2 id="{escaped(tier)}">{escaped(tier)}</h2>', '<div class="cards">']
        body += [_card(model, pictures.get(str(model.path)), pages.get(str(model.path))) for model in group]
        body.append("</div>")
    if others:
        body += ['<h2 id="others">Not certified</h2>', _others(others)]
    return document("Gallery", body, style=_STYLE).encode()


def _card(model: SuiteModel, picture: bytes | None, page: str | None) -> str:
    name = escaped(model.name)
    facts = [
        *([model.outcome] if model.outcome == WEAKLY else []),
        *([model.family] if model.family else []),
        f"{_count(model.circuit_nodes or 0, 'head or MLP', 'heads and MLPs')}, "
        f"{_count(model.circuit_edges or 0, 'edge')}",
        *([] if model.steps is None else [f"{model.steps:,} steps"]),
        *([] if model.cpu_seconds is None else [f"{duration(model.cpu_seconds)} of CPU time"]),
    ]
    worst = model.worst_field
    shares = [(field, f"{value:.5f}") for field, value in (model.worst or {}).items()]
    lines = [
        "<article>",
        f"<h3>{name if page is None else _link(quote(page), model.name)}</h3>",
        f'<p class="facts">{escaped("; ".join(facts))}</p>',
        *([f"<p>worst share: {worst[1]:.5f} ({escaped(worst[0])})</p>"] if worst else []),
        *([_picture(picture, f"The circuit of {model.name}")] if picture else []),
        "<details><summary>all shares, and the file of weights</summary>",
        table(("field", "worst share"), shares),
        f"<p><code>{escaped(str(model.path))}: sha256 {escaped(str(model.weights_sha256))}</code></p>",
        "</details>",
        "</article>",
    ]
    return "\n".join(lines)


def _others(models: Sequence[SuiteModel]) -> str:
    heads = ("model", "tier", "family", "outcome", "steps", "why")
    rows = [
        (
            model.name,
            model.tier or "",
            model.family or "",
            model.outcome,
            "" if model.steps is None else f"{model.steps:,}",
            "; ".join(line.strip() for line in model.reasons),
        )
        for model in models
    ]
    return table(heads, rows)


def _picture(png: bytes, words: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<figure><img alt="{escaped(words)}" loading="lazy" src="data:image/png;base64,{data}"></figure>'


def _link(target: str, words: str) -> str:
    return f'<a href="{escaped(target)}">{escaped(words)}</a>'


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
