"""Prints the certificates of bundles as a Markdown table: `python scripts/results.py checkpoints [more roots]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from siit.bundle import BundleError, list_folders
from siit.certificate.certificate import SHARES

SHORT = {"strict_node": "node", "strict_edge": "edge", "strict_joint": "joint", "strict_subsets": "subsets"}
SHORT |= {"joint_mean": "mean", "joint_zero": "zero", "edge_iia": "edge IIA", "iia": "IIA"}


def rows(root: Path) -> list[str]:
    """One line per model: configuration, then every share of the certificate, in percent."""
    lines = []
    for entry in list_folders(root):
        folder = root / entry.path
        certificate: dict[str, Any] = json.loads((folder / "certificate.json").read_text())
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        objective = objective_name((folder / "train.yaml").read_text())
        shares = " | ".join(percent(certificate[name]) for name in SHARES)
        effects = [value for part in certificate["effect"].values() for value in part.values()]
        shape = f"{config['n_layers']} x {config['n_heads']} x {config['d_model']}"
        verdict = "yes" if certificate["certified"] else "no"
        lines.append(
            f"| {entry.case} | {entry.seed} | {objective} | {shape} | {verdict} | {shares} | {min(effects):.3f} |"
        )
    return lines


def objective_name(train_yaml: str) -> str:
    """The objective's name in a resolved configuration."""
    block = train_yaml.split("objective:", 1)[1]
    return block.split("name:", 1)[1].split("\n", 1)[0].strip()


def percent(share: float) -> str:
    """A share in percent, never rounded up to a bar that it misses."""
    return f"{int(share * 10000) / 100:.2f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", type=Path, help="bundles' folders")
    names = [SHORT.get(name, name) for name in SHARES]
    print(
        "| case | seed | objective | layers x heads x d_model | certified | " + " | ".join(names) + " | least effect |"
    )
    print("|---|---|---|---|---|" + "---|" * (len(names) + 1))
    for root in parser.parse_args().roots:
        try:
            print("\n".join(rows(root)))
        except BundleError as error:
            parser.error(str(error))


if __name__ == "__main__":
    main()
