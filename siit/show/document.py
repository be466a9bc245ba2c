"""An HTML file that needs nothing else: every text in it is escaped, nothing is fetched, and no script runs."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from siit._text import printable

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


def document(title: str, body: Sequence[str], *, style: str = "") -> str:
    """Puts elements into a whole document.

    Args:
        title: a text.
        body: elements; texts in them are escaped already.
        style: further rules, after those that all of our documents share.
    """
    # Nothing is ever fetched and no script runs, whatever the texts in it were to hold.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escaped(title)}</title>",
            f"<style>{_STYLE}{style}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Makes a text part of a document, also in an attribute's value."""
    return html.escape(printable(text))


def table(heads: Iterable[str], lines: Iterable[Sequence[str]]) -> str:
    """Makes a table of texts."""
    head = "".join(f"<th>{escaped(cell)}</th>" for cell in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f'<div class="table"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'
