"""Prints the certificates of bundles as a Markdown table: `python scripts/results.py checkpoints [more roots]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import siit
from scripts.markdown import percent
from siit.bundle import TRAINING_FILE, BundleError, find_folders
from siit.certificate import Certificate
from siit.certificate.certificate import SHARES

SHORT = {"strict_node": "node", "strict_edge": "edge", "strict_joint": "joint", "strict_subsets": "subsets"}
SHORT |= {"strict_adversarial": "adversary", "joint_mean": "mean", "joint_zero": "zero"}
SHORT |= {"edge_iia": "edge IIA", "iia": "IIA"}
COLUMNS = (
    *("case", "seed", "tier", "objective", "layers x heads x d_model", "steps", "CPU s", "certified"),
    *(SHORT.get(name, name) for name in SHARES),
    "least effect",
)


def certificates(root: Path) -> list[str]:
    """The table's lines, one for each model: what it is, what it took, and every share of its certificate in percent.

    Raises:
        BundleError: a damaged model.
    """
    lines = []
    for folder in find_folders(root):
        model = siit.load_circuit(root, folder.parent.name, int(folder.name.removeprefix("seed-")))
        certificate, config = Certificate.from_json(model.certificate), model.config
        effects = [value for part in vars(certificate.effect).values() for value in part.values()]
        cells = (
            *(model.bundle.case, model.bundle.seed, model.tier, objective_name(model.bundle.train_yaml)),
            f"{config.n_layers} x {config.n_heads} x {config.d_model}",
            *training(folder),
            ("yes" if certificate.certified else "no") + (", first kind" if certificate.first_kind else ""),
            *(percent(getattr(certificate, name)) for name in SHARES),
            f"{min(effects):.3f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def header() -> list[str]:
    """The table's first two lines."""
    return [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]


def training(folder: Path) -> tuple[str, str]:
    """Steps and CPU seconds; empty for models of before these were recorded."""
    if not (folder / TRAINING_FILE).exists():
        return "", ""
    record: dict[str, Any] = json.loads((folder / TRAINING_FILE).read_text())
    return f"{record['steps']:,}", f"{record['seconds']['cpu']:,.0f}"


def objective_name(train_yaml: str) -> str:
    """The objective's name in a resolved configuration."""
    block = train_yaml.split("objective:", 1)[1]
    return block.split("name:", 1)[1].split("\n", 1)[0].strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", type=Path, help="bundles' folders")
    print("\n".join(header()))
    for root in parser.parse_args().roots:
        try:
            print("\n".join(certificates(root)))
        except BundleError as error:
            parser.error(str(error))


if __name__ == "__main__":
    main()
