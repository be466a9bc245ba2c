"""Compares models with their Tracr and natural twins: `python -m scripts.realism checkpoints/frac_prevs/seed-0`.

A natural twin has the model's architecture, and is trained on behaviour alone (objective=behaviour). Twins are kept
under --natural, and trained where they are missing; the same command goes on where it was stopped. What is found is
written as realism.json, with pictures, and printed as Markdown tables.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import siit
from scripts.markdown import table
from siit.discovery import DiscoveryTask, Passes, task_of
from siit.evaluation.dataclass_json import to_plain
from siit.graph.circuit import Circuit
from siit.realism import Portrait, average_precision, by_carried, by_layer, portrait, spearman
from siit.realism.pictures import edges_picture, nodes_picture
from siit.realism.portrait import EXACT, METHODS
from siit.scoring import grades

SIIT, TRACR, NATURAL, SECOND = "SIIT", "Tracr", "natural", "natural again"
ARCHITECTURE = ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "act_fn", "normalization_type", "eps")
INNER = ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out")
"""Matrices of heads and MLPs."""
STATISTICS = (
    *("right", "weights' size", "rank", "near zero", "writers", "cosine", "overlap", "variables' overlap"),
    *("nodes that matter", "edges that matter"),
)
LOST = 0.01
"""A node matters if more of the answers than this are lost by its mean ablation."""
VISIBLE = ("resampled", "permuted")


@dataclasses.dataclass(frozen=True)
class Compared:
    """All that was found of one case.

    Attributes:
        case, seed: of the model.
        pairs: inputs on which all were measured.
        portraits: model -> its portrait.
        precision: labelled model -> method -> average precision, and a random order's.
        order: two models -> method -> the rank correlation of their edges' scores, and how many edges correspond.
    """

    case: str
    seed: int
    pairs: int
    portraits: Mapping[str, Portrait]
    precision: Mapping[str, Mapping[str, tuple[float, float]]]
    order: Mapping[str, Mapping[str, tuple[float | None, int]]]


def natural_twin(model: siit.LoadedModel, root: Path, seed: int, steps: int) -> siit.LoadedModel:
    """Loads a natural twin, trained first where it is missing."""
    if not (root / model.case / f"seed-{seed}" / "manifest.json").exists():
        sizes = {name: getattr(model.config, name) for name in ARCHITECTURE}
        settings = {"case": model.case, "seed": seed, "objective": "behaviour", "out": root}
        settings |= {f"model.{name}": "null" if value is None else value for name, value in sizes.items()}
        settings |= {"trainer.max_steps": steps, "allow_uncertified": "true", "trainer.progress_bar": "false"}
        subprocess.run(
            [sys.executable, "-m", "siit.train", *(f"{key}={value}" for key, value in settings.items())], check=True
        )
    return siit.load(root, model.case, seed)


def compared(model: siit.LoadedModel, others: Mapping[str, siit.LoadedModel], pairs: int) -> Compared:
    """Measures a model, its Tracr twin, and others of its architecture, all on the same inputs.

    Args:
        model: the certified one.
        others: name -> another model of the case: natural twins, and models trained otherwise.
        pairs: how many inputs.
    """
    twin = siit.tracr_twin(model.case)
    labelled: dict[str, Circuit] = {SIIT: model.circuit, TRACR: twin.circuit}
    labelled |= {name: one.circuit for name, one in others.items() if name not in (NATURAL, SECOND)}
    task = task_of(model, pairs)
    tasks: dict[str, DiscoveryTask] = {SIIT: task}
    twins: dict[str, siit.LoadedModel | siit.TracrTwin] = {TRACR: twin, **others}
    for name, one in twins.items():
        if (one.vocab.tokens, one.vocab.classes) != (model.vocab.tokens, model.vocab.classes):
            raise ValueError(f"{model.case}: {name}: found another vocabulary, accepted is the model's")
        tasks[name] = dataclasses.replace(task, model=one.model, passes=Passes())
    portraits = {name: portrait(own, model.causal_model, model.answers) for name, own in tasks.items()}
    seen = {edge for edge, grade in grades(model).items() if grade in VISIBLE}
    visible = {name for edge, name in model.circuit.carries.items() if edge in seen and name is not None}
    return Compared(
        case=model.case,
        seed=model.seed,
        pairs=pairs,
        portraits=portraits,
        precision={
            name: {
                method: average_precision(portraits[name].edge_scores[method], circuit, visible) for method in METHODS
            }
            for name, circuit in labelled.items()
        },
        order=dict(_orders(model, twin.circuit, portraits)),
    )


def _orders(
    model: siit.LoadedModel, twin: Circuit, portraits: Mapping[str, Portrait]
) -> Iterator[tuple[str, dict[str, tuple[float | None, int]]]]:
    """Compares the order of edges' scores: with Tracr's by what edges carry, with all others' by layers."""
    for name in portraits:
        if name == SIIT:
            continue
        found = {}
        for method in METHODS:
            ours, theirs = (portraits[one].edge_scores[method] for one in (SIIT, name))
            if name == TRACR:
                left, right = by_carried(ours, model.circuit), by_carried(theirs, twin)
            else:
                left, right = by_layer(ours, model.circuit), by_layer(theirs, model.circuit)
            found[method] = _correlated(left, right)
        yield f"{SIIT} and {name}", found
    if NATURAL in portraits and SECOND in portraits:
        both = [portraits[name].edge_scores for name in (NATURAL, SECOND)]
        yield (
            f"{NATURAL} and {SECOND}",
            {method: _correlated(*(by_layer(one[method], model.circuit) for one in both)) for method in METHODS},
        )


def _correlated(left: Mapping[str, float], right: Mapping[str, float]) -> tuple[float | None, int]:
    both = [name for name in left if name in right]
    return spearman([left[name] for name in both], [right[name] for name in both]), len(both)


def summary(found: list[Compared]) -> str:
    """Makes the page's tables."""
    rows, scores, orders = [], [], []
    for one in found:
        for name, own in one.portraits.items():
            inner = [each for each in own.weights if each.matrix in INNER and each.frobenius > 0]
            rows.append(
                (
                    one.case,
                    name,
                    f"{100 * own.right:.1f} %",
                    f"{fmean(each.root_mean_square for each in inner):.2f}",
                    f"{100 * fmean(each.rank_share for each in inner):.0f} %",
                    f"{100 * fmean(each.near_zero for each in inner):.1f} %",
                    f"{own.writers:.1f} of {len(_without(own))}",
                    _number(own.cosine),
                    _number(own.overlap),
                    _number(fmean(own.variable_overlap.values()) if own.variable_overlap else None),
                    _mattering(own),
                    f"{own.edges:.1f} of {len(own.edge_scores[EXACT])}",
                )
            )
        for name, found_by in one.precision.items():
            random = found_by[EXACT][1]
            scores.append((one.case, name, *(_number(found_by[method][0]) for method in METHODS), _number(random)))
        for name, agreeing in one.order.items():
            edges = agreeing[EXACT][1]
            orders.append((one.case, name, edges, *(_number(agreeing[method][0]) for method in METHODS)))
    return "\n\n".join(
        (
            table(("case", "model", *STATISTICS), rows),
            table(("case", "model", *METHODS, "random"), scores),
            table(("case", "models", "edges", *METHODS), orders),
        )
    )


def overview(found: list[Compared]) -> str:
    """Makes a table of one line per case: the model, its Tracr twin, its natural twin."""
    rows = []
    for one in found:
        ours, tracr, natural = (one.portraits[name] for name in (SIIT, TRACR, NATURAL))
        rows.append(
            (
                one.case,
                ", ".join(f"{each.writers:.1f}" for each in (ours, tracr, natural)),
                ", ".join(_number(each.cosine) for each in (ours, natural)),
                ", ".join(map(_mattering, (ours, tracr, natural))),
                ", ".join(f"{each.edges:.1f}" for each in (ours, tracr, natural)),
                *(_number(one.order[f"{SIIT} and {name}"][EXACT][0]) for name in (TRACR, NATURAL)),
            )
        )
    columns = ("writers", "cosine (SIIT, natural)", "nodes that matter", "edges that matter")
    return table(("case", *columns, "order as Tracr's", "order as the natural one's"), rows)


def _mattering(model: Portrait) -> str:
    without = _without(model)
    return f"{sum(share < model.right - LOST for share in without)} of {len(without)}"


def _without(model: Portrait) -> list[float]:
    """Shares of right answers without each head and MLP."""
    return [share for node, share in model.right_without.items() if "embed" not in node]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="models' folders, <root>/<case>/seed-<n>")
    parser.add_argument("--natural", type=Path, default=Path("natural"), help="bundle of natural twins")
    parser.add_argument(
        "--also", action="append", default=[], metavar="NAME=ROOT", help="more models, of other recipes"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="of one natural twin, or two")
    parser.add_argument("--steps", type=int, default=1500, help="of a natural twin's training")
    parser.add_argument("--pairs", type=int, default=512, help="inputs on which all is measured")
    parser.add_argument("--out", type=Path, default=Path("realism"), help="folder of realism.json and the pictures")
    arguments = parser.parse_args()
    found = []
    for folder in arguments.models:
        case, seed = folder.parent.name, int(folder.name.removeprefix("seed-"))
        model = siit.load(folder.parent.parent, case, seed)
        others = {
            name: natural_twin(model, arguments.natural, number, arguments.steps)
            for number, name in zip(arguments.seeds, (NATURAL, SECOND), strict=False)
        }
        for name, root in (text.split("=", 1) for text in arguments.also):
            if (Path(root) / case / folder.name).is_dir():
                others[name] = siit.load(root, case, seed)
        found.append(compared(model, others, arguments.pairs))
    arguments.out.mkdir(parents=True, exist_ok=True)
    content: Any = to_plain(tuple(found))
    (arguments.out / "realism.json").write_text(json.dumps(content, indent=1) + "\n")
    portraits = {one.case: one.portraits for one in found}
    (arguments.out / "realism_nodes.png").write_bytes(nodes_picture(portraits))
    (arguments.out / "realism_edges.png").write_bytes(edges_picture(portraits))
    print(summary(found), overview(found), sep="\n\n")


if __name__ == "__main__":
    main()
