"""`siit score`: scores a circuit discovery method's edges or nodes against a model's labels."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siit._command_line import CommandParser, UsageError, fail, one_of, run

if TYPE_CHECKING:
    from siit.scoring import Score

BAD_INPUT = 2
_DESCRIPTION = """\
Measures how well a method's scores tell a circuit's edges, or nodes, from the model's others,
beside what a random order reaches, and what the architecture alone tells.

  siit score checkpoints/frac_prevs/seed-0 scores.json
"""
_EPILOG = """\
SCORES is a JSON object of names and numbers, such as {"m0->a1.h2<v>": 0.7, ...}, or a graph
as EAP-IG and MIB write it. Hook names of TransformerLens are understood too.

exit status:
  0  scored
  2  the folder or the scores cannot be read, or the usage is wrong
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Scores, prints, and returns the exit status."""
    try:
        options = _parser().read(arguments)
    except UsageError as error:
        return fail("score", error, BAD_INPUT)
    # Only now: --help need not wait for torch.
    from siit.bundle import read_bundle
    from siit.places import model_folder
    from siit.scoring import score

    try:
        bundle = read_bundle(model_folder(options.model), weights=False, evidence=False)
        found = score(
            read_scores(options.scores),
            bundle,
            level=options.level,
            slots=False if options.level == "node" else options.slots,
            embeddings=options.embeddings,
        )
    except (ValueError, OSError) as error:
        return fail("score", error, BAD_INPUT)
    print(json.dumps(_plain(found), indent=1) if options.json else _table(f"{bundle.case}, seed {bundle.seed}", found))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(prog="siit score", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model's folder in a bundle")
    parser.add_argument("scores", type=Path, metavar="SCORES", help="the method's scores, as JSON")
    parser.add_argument("--level", type=one_of(("edge", "node")), default="edge", help="what is ranked: edge or node")
    parser.add_argument("--no-slots", dest="slots", action="store_false", help="q, k and v of one head are one edge")
    parser.add_argument(
        "--no-embeddings", dest="embeddings", action="store_false", help="leave the embeddings' edges out"
    )
    parser.add_argument("--json", action="store_true", help="JSON")
    return parser


def read_scores(path: Path) -> dict[str, Any]:
    """Reads scores by name, or a graph's edges (nodes at the top where they alone have scores).

    Raises:
        ValueError: no such file, or something else in it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"SCORES: found {path} ({error}), accepted is a file with a JSON object") from error
    if not isinstance(data, dict):
        raise ValueError(f"SCORES: found a {type(data).__name__} in {path}, accepted is a JSON object")
    graph = data.get("edges")
    if not isinstance(graph, Mapping):
        return data
    missing = [name for name, edge in graph.items() if not isinstance(edge, Mapping) or "score" not in edge]
    if missing:
        raise ValueError(f"SCORES: edges: found no score of {missing[0]}, accepted is one for each")
    return {name: edge["score"] for name, edge in graph.items()}


def _plain(found: Score) -> dict[str, Any]:
    return {
        "roc_auc": found.roc_auc,
        "average_precision": found.average_precision,
        "positives": found.positives,
        "negatives": found.negatives,
        "unlabelled": found.unlabelled,
        "random": dataclasses.asdict(found.random),
        "structure": {"roc_auc": found.structure.roc_auc, "average_precision": found.structure.average_precision},
        "by_slot": {
            slot or "": {"roc_auc": ranking.roc_auc, "average_precision": ranking.average_precision}
            for slot, ranking in found.by_slot.items()
        },
    }


def _table(title: str, found: Score) -> str:
    rows = [("", "ROC AUC", "average precision")]
    rankings = {"method": found, "structure alone": found.structure}
    rankings |= {f"method, {slot or 'no slot'}": ranking for slot, ranking in found.by_slot.items()}
    rows += [(name, f"{r.roc_auc:.3f}", f"{r.average_precision:.3f}") for name, r in rankings.items()]
    rows.append(("random order", f"{found.random.roc_auc:.3f}", f"{found.random.average_precision:.3f}"))
    wide = max(len(row[0]) for row in rows)
    others = f"; {found.unlabelled} others have no label" if found.unlabelled else ""
    head = f"{title}: {found.positives} on the circuit, {found.negatives} off it{others}"
    return "\n".join([head, *(f"  {name:<{wide}}  {auc:>7}  {precision:>17}" for name, auc, precision in rows)])


if __name__ == "__main__":
    sys.exit(run(main))
