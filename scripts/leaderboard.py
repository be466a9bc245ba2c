"""Writes the numbers of docs/leaderboard.md from the board: `python -m scripts.leaderboard BUNDLE [...]`.

What stands between the two marks of that page is replaced; all else stays.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.markdown import table
from siit.evaluation.overview import ALL, AVERAGE_PRECISION
from siit.leaderboard.board import Board, read_board
from siit.leaderboard.month import month
from siit.leaderboard.release import read_release
from siit.leaderboard.standings import NODE_PRECISION, Standing

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "leaderboard.md"
_MARKS = re.compile(r"(<!-- numbers -->\n).*?(<!-- end of numbers -->)", re.S)


def numbers(board: Board) -> str:
    """Makes the block: a table of edges and one of nodes, the best method first."""
    found = board.standings
    groups = [group.removeprefix("tier ") for group in found.groups if group != ALL]
    lines = [
        f"{len(board.entries)} methods on {len(board.models)} models"
        + (f", and on {len(board.fresh)} fresh ones of {board.month.name}" if board.month else "")
        + ". Average precision of edges, in brackets its 95 % interval over models:",
        "",
        table(
            ["method", "models", "AP", *groups, "above null", "ROC AUC", "CPR", "CMD"],
            [
                [row.method, row.models, *_cells(row, AVERAGE_PRECISION, found.groups)]
                + [_number(row, name) for name in ("edge.above_structure", "edge.roc_auc", "cpr", "cmd")]
                for row in found.edges
            ],
        ),
        "",
        "Average precision of nodes:",
        "",
        table(
            ["method", "models", "AP", *groups],
            [[row.method, row.models, *_cells(row, NODE_PRECISION, found.groups)] for row in found.nodes],
        ),
    ]
    if found.ranks is not None:
        ranks = ", ".join(
            f"`{name}` {rank:.2f}" for name, rank in zip(found.ranks.methods, found.ranks.average, strict=True)
        )
        lines += [
            "",
            f"Average ranks by average precision of edges: {ranks}. "
            f"The critical difference is {found.ranks.critical:.2f} (Nemenyi, 5 %).",
        ]
    return "\n".join(lines) + "\n"


def _cells(row: Standing, measure: str, groups: Sequence[str]) -> list[str]:
    cells = []
    for group in groups:
        one = row.means.get((group, measure))
        bounded = group == ALL and one is not None and one.low is not None
        cells.append(_number(row, measure, group) + (f" [{one.low:.3f}, {one.high:.3f}]" if bounded and one else ""))
    return cells


def _number(row: Standing, measure: str, group: str = ALL) -> str:
    value = row.mean(measure, group)
    return "" if value is None else f"{value:.3f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", help="the models' bundles")
    parser.add_argument("--board", type=Path, default=ROOT / "leaderboard")
    parser.add_argument("--month", type=month)
    arguments = parser.parse_args()
    board = read_board(arguments.board, read_release(arguments.bundles), arguments.month)
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_MARKS.sub(lambda marks: marks[1] + numbers(board) + marks[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
