"""Makes the board's page: one HTML file that needs nothing else, and runs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from siit._version import __version__
from siit.evaluation.overview import ALL, AVERAGE_PRECISION
from siit.graph.architecture import Edge
from siit.graph.tiers import TIERS
from siit.leaderboard.board import Board
from siit.leaderboard.charts import CHART_STYLE, Curves, curve_chart, interval_chart, rank_chart
from siit.leaderboard.check import Judged
from siit.leaderboard.circuit_chart import CIRCUIT_STYLE, arrowheads, circuit_chart
from siit.leaderboard.curves import mean_precision, mean_roc
from siit.leaderboard.edge_errors import EdgeErrors, edge_errors
from siit.leaderboard.entry import SETTING
from siit.leaderboard.release import Model, words
from siit.leaderboard.standings import CHANCE, NODE_PRECISION, STRUCTURE, Standing, Standings
from siit.leaderboard.submission import missing
from siit.scoring import Score
from siit.show.document import document, escaped, table

_STYLE = """
body { max-width: 90rem; }
.charts, .circuits { display: grid; gap: 1.25rem; align-items: start; }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr)); }
.circuits { grid-template-columns: repeat(auto-fill, minmax(min(23rem, 100%), 1fr)); }
.wide { min-width: 46rem; max-width: 62rem; }
figure { min-width: 0; }
figcaption { font-size: .875rem; font-weight: 600; overflow-wrap: anywhere; }
figcaption span { font-weight: 400; color: #5b6475; }
th, td { white-space: nowrap; }
details.model { border-top: 1px solid #e3e6ec; padding: .5rem 0; }
summary { cursor: pointer; }
code { font-size: .75rem; overflow-wrap: anywhere; }
"""
_ABOUT = (
    "Circuit discovery methods on models whose circuits are known and certified. What counts is average precision "
    "(AP) of edges: those on the circuit that the corruption can show, against those that are certified to be off it."
    " It is to be read beside the structure null, which knows the program and how models are laid out, and neither "
    "weights nor data. In brackets: the 95 % interval of a bootstrap over models."
)
_ABOUT_COLUMNS = (
    "Above null: AP less the structure null's. CPR and CMD: the area under the curve of faithfulness, and between it "
    "and 1. s: seconds that the method took. These three are the submitter's; all else is computed from the labels "
    "here."
)
_ABOUT_CURVES = (
    "Vertical averages over models: precision at each recall, and the share of the circuit's edges found at each "
    "share of false ones. Blue is the method, orange the structure null on the same models."
)
_ABOUT_ERRORS = (
    "Of a method's first edges as many are taken as the circuit has. Grey: found. Red: false, not on the circuit. "
    "Dashed: missed. Pale: on the circuit, but this corruption cannot show it, so that it is not ranked."
)
_COLUMNS = {
    "edge.above_structure": "above null",
    "edge.roc_auc": "ROC AUC",
    "edge.precision_at_size": "precision at size",
    "cpr": "CPR",
    "cmd": "CMD",
    "seconds": "s",
}
_NODE_COLUMNS = {"node.roc_auc": "ROC AUC", "node.precision_at_size": "precision at size", "seconds": "s"}
_NOTHING = (STRUCTURE, CHANCE)
_CLOSE = 1e-12
"""By less than that means differ for the order of a sum alone."""


def page(board: Board) -> bytes:
    """Makes the page, as UTF-8."""
    found, judged = board.standings, board.judged
    body = [
        "<h1>Leaderboard</h1>",
        f'<p class="facts">{escaped(_facts(board))}</p>',
        f"<p>{escaped(_ABOUT)}</p>",
        arrowheads(),
        "<h2>Edges</h2>",
        _table(found.edges, found.groups, AVERAGE_PRECISION, _COLUMNS, len(board.models)),
        f"<p>{escaped(_ABOUT_COLUMNS)}</p>",
        "<h2>Average precision by tier</h2>",
        "<p>Dots are means, bars 95 % intervals over models; the upright mark is the structure null.</p>",
        '<div class="charts">',
        *(_intervals(found, group) for group in found.groups),
        "</div>",
        "<h2>Ranks</h2>",
        *_ranks(found),
        "<h2>Nodes</h2>",
        _table(found.nodes, found.groups, NODE_PRECISION, _NODE_COLUMNS, len(board.models)),
        "<h2>Curves</h2>",
        f"<p>{escaped(_ABOUT_CURVES)}</p>",
        '<div class="charts">',
        *(_curves(standing.method, judged[standing.method]) for standing in found.edges if standing.method in judged),
        "</div>",
        "<h2>Errors, model by model</h2>",
        f"<p>{escaped(_ABOUT_ERRORS)}</p>",
        *_models(board),
        *_further(board),
    ]
    return document("Leaderboard", body, style=_STYLE + CHART_STYLE + CIRCUIT_STYLE).encode()


def _facts(board: Board) -> str:
    tier_of = {
        (one.evaluation.case, one.evaluation.model_seed): one.labels.tier
        for some in board.judged.values()
        for one in some
    }
    count = Counter(tier_of[model] for model in board.models if model in tier_of)
    tiers = ", ".join(f"{count[tier]} {tier}" for tier in TIERS if count[tier])
    fresh = [f"{len(board.fresh)} fresh models of {board.month.name}"] if board.month else []
    setting = f"corruption {SETTING.corruption}, ablation {SETTING.ablation}, {SETTING.n_pairs} pairs"
    methods, models = f"{len(board.entries)} methods", f"{len(board.models)} models ({tiers})"
    return "; ".join([methods, models, *fresh, setting, f"siit {__version__}"])


def _table(
    rows: Sequence[Standing], groups: Sequence[str], measure: str, columns: Mapping[str, str], total: int
) -> str:
    heads = ["", "method", "models", "AP", *(_group(group) for group in groups if group != ALL), *columns.values()]
    lines = []
    values = [row.mean(measure) or 0.0 for row in rows if row.method not in _NOTHING]
    for row in rows:
        nothing = row.method in _NOTHING
        # Of equals, each has the first one's place.
        place = 1 + sum(value - (row.mean(measure) or 0.0) > _CLOSE for value in values)
        lines.append(
            [
                "" if nothing else str(place),
                row.method,
                f"{row.models} of {total}",
                *(_cell(row, measure, group, interval=group == ALL) for group in groups),
                *("" if nothing and name == "seconds" else _cell(row, name, ALL) for name in columns),
            ]
        )
    return table(heads, lines)


def _cell(row: Standing, measure: str, group: str, *, interval: bool = False) -> str:
    one = row.means.get((group, measure))
    if one is None:
        return ""
    digits = 2 if measure == "seconds" else 3
    bounds = f" [{one.low:.3f}, {one.high:.3f}]" if interval and one.low is not None and one.high is not None else ""
    return f"{one.mean:.{digits}f}{bounds}"


def _group(group: str) -> str:
    return group.removeprefix("tier ")


def _intervals(found: Standings, group: str) -> str:
    rows = [row for row in found.edges if row.method not in _NOTHING and (group, AVERAGE_PRECISION) in row.means]
    means = [row.means[group, AVERAGE_PRECISION] for row in rows]
    nulls = [row.means[group, AVERAGE_PRECISION].mean - row.means[group, "edge.above_structure"].mean for row in rows]
    models = max((one.models for one in means), default=0)
    title = f"{_group(group)}: {models} model{'s' if models != 1 else ''}"
    return _figure(title, interval_chart(means, nulls, f"Average precision, {title}"))


def _ranks(found: Standings) -> Iterable[str]:
    if found.ranks is None:
        yield "<p>There are no ranks yet: they need three methods and three models at least.</p>"
    else:
        text = (
            f"Average ranks by AP over {found.ranks.models} models (Demsar, JMLR 7, 2006), 1 is the best. A bar joins "
            "methods that the Nemenyi test at 5 % does not tell apart. Friedman's test that all are equal: "
            f"p = {found.ranks.p_value:.2g}."
        )
        yield f"<p>{escaped(text)}</p>"
        yield f'<figure><div class="wide">{rank_chart(found.ranks)}</div></figure>'
    if found.unranked:
        yield f"<p>Not ranked, since not all models were evaluated: {escaped(', '.join(found.unranked))}.</p>"


def _curves(method: str, judged: Sequence[Judged]) -> str:
    ranked: list[Score] = [one.edge for one in judged if one.edge is not None]
    nulls = [one.structure for one in ranked]
    curves = Curves(method, mean_precision(ranked), mean_roc(ranked), mean_precision(nulls), mean_roc(nulls))
    return _figure(method, curve_chart(curves))


def _models(board: Board) -> Iterable[str]:
    """Makes a part for each model, with the errors of each method in its first draw; the best method is first."""
    first: dict[Model, dict[str, Judged]] = {model: {} for model in (*board.models, *board.fresh)}
    for standing in board.standings.edges:
        for one in board.judged.get(standing.method, ()):
            if one.edge is not None:
                first[one.evaluation.case, one.evaluation.model_seed].setdefault(standing.method, one)
    return (_model(model, of_method) for model, of_method in first.items() if of_method)


def _model(model: Model, of_method: Mapping[str, Judged]) -> str:
    some = next(iter(of_method.values()))
    circuit, right, pictures = some.labels.circuit, [], []
    # Methods whose errors are the same share a picture.
    together: dict[EdgeErrors, list[str]] = {}
    for method, one in of_method.items():
        ap = "" if one.edge is None else f" (AP {one.edge.average_precision:.3f})"
        found = edge_errors(one.labels, one.evaluation.places["edge"], one.evaluation.setting.corruption)
        if found.false:
            together.setdefault(found, []).append(f"{method}{ap}")
        else:
            right.append(f"{method}{ap}")
    for found, methods in together.items():
        named = f"False: {_listed(found.false)}; missed: {_listed(found.missed)}"
        drawn = circuit_chart(circuit, found, f"Errors of {', '.join(methods)} on {words(model)}")
        pictures.append(_figure(", ".join(methods), drawn, named))
    facts = (
        f"{some.labels.tier}; {len(circuit.carries)} edges; {len(right)} of {len(of_method)} methods without an error"
    )
    return "\n".join(
        [
            f'<details class="model"><summary>{escaped(words(model))} <span class="facts">{escaped(facts)}</span>',
            "</summary>",
            f"<p>Without an error: {escaped(', '.join(right) or 'none')}.</p>",
            '<div class="circuits">',
            *pictures,
            "</div>",
            f"<p><code>manifest sha256 {escaped(str(some.evaluation.manifest_sha256))}</code></p>",
            "</details>",
        ]
    )


def _listed(edges: Sequence[Edge]) -> str:
    return ", ".join(map(str, edges))


def _further(board: Board) -> Iterable[str]:
    """Says what the methods are, which models they lack, and what does not count."""
    abouts = [(entry.method, entry.about) for entry in board.entries if entry.about]
    if abouts:
        yield "<h2>What the methods are</h2>"
        yield table(("method", "in the submitter's words"), abouts)
    lines = [
        (entry.method, words(model), why)
        for entry in board.entries
        for model, why in missing(entry, board.models).items()
    ]
    if lines:
        yield "<h2>Not covered</h2>"
        yield table(("method", "model", "why"), lines)
    yield from (f"<p>{escaped(note)}.</p>" for note in board.notes)


def _figure(title: str, drawn: str, more: str = "") -> str:
    note = f" <span>{escaped(more)}</span>" if more else ""
    return f"<figure><figcaption>{escaped(title)}{note}</figcaption>{drawn}</figure>"
