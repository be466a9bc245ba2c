"""Gathers the starter release in checkpoints/ from the folders in which its models were trained.

python -m scripts.starter gather /tmp/suite [more folders]
python -m scripts.starter report
python -m scripts.starter missing

`scripts/starter.yaml` says which models it holds. Each is verified on its way in, as `siit certify` does; the controls
must be uncertified. Its page, checkpoints/README.md, gets their table. Git ignores what is trained into checkpoints/,
so the models are added by `git add --force checkpoints/bundle.json checkpoints/*/seed-*`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from scripts.markdown import percent
from scripts.results import objective_name
from siit.bundle import BundleError, read_bundle, seed_folder, write_index
from siit.graph.tiers import TIERS
from siit.suite.models import SuiteModel, read_models
from siit.verification import verify

ROOT = Path(__file__).resolve().parents[1] / "checkpoints"
LIST = Path(__file__).with_name("starter.yaml")
LIMIT = 40e6
"""Bytes that a clone may have to fetch for it."""
BEGIN, END = "<!-- models: written by scripts/starter.py -->\n", "<!-- end of models -->\n"


@dataclass(frozen=True)
class Member:
    """A model that the release holds; a control is trained for behaviour alone, and uncertified."""

    case: str
    seed: int
    control: bool

    @property
    def path(self) -> str:
        """Its folder below a root."""
        return seed_folder(self.case, self.seed)


def read_list(path: Path = LIST) -> list[Member]:
    """Reads the models that the release holds.

    Raises:
        ValueError: the file has other keys than it may have, or names a model twice.
    """
    content = yaml.safe_load(path.read_text())
    if set(content) != {"certified", "controls"}:
        raise ValueError(f"{path}: found the keys {sorted(content)}, accepted are certified and controls")
    members = [
        Member(case, seed, kind == "controls")
        for kind, cases in content.items()
        for case, seeds in cases.items()
        for seed in seeds
    ]
    paths = [member.path for member in members]
    if twice := {path for path in paths if paths.count(path) > 1}:
        raise ValueError(f"{path}: found {', '.join(sorted(twice))} twice, accepted is each model once")
    return members


def gather(members: Sequence[Member], folders: Sequence[Path], root: Path = ROOT) -> None:
    """Copies the models that are not there yet, each after it was verified; one that is refused stops no other."""
    for member in members:
        found = next((folder / member.path for folder in folders if (folder / member.path).exists()), None)
        if found is None or (root / member.path).exists():
            continue
        try:
            check(member, found)
        except BundleError as error:
            print(f"{member.path}: refused: {error}", flush=True)
            continue
        # In one step: no half a model is ever there.
        new = root / f".new-{member.case}-{member.seed}"
        shutil.copytree(found, new)
        (root / member.path).parent.mkdir(exist_ok=True)
        new.rename(root / member.path)
        print(f"{member.path}: from {found}", flush=True)
    write_index(root)


def check(member: Member, folder: Path) -> None:
    """Verifies a model of the release.

    Raises:
        BundleError: it is damaged, or not what the list says it is.
    """
    bundle = read_bundle(folder)
    if member.control:
        if bundle.certificate["certified"] or objective_name(bundle.train_yaml) != "behaviour":
            raise BundleError(f"{folder}: found no control, accepted is objective=behaviour, not certified")
        return
    verification = verify(bundle)
    if not verification.certified:
        raise BundleError(f"{folder}: not certified: {verification.findings[0]}")


def table(models: Iterable[SuiteModel], root: Path = ROOT) -> list[str]:
    """Makes the page's table, a line for each model; shares in percent, rounded down."""
    lines = [
        "| case | seed | family | tier | nodes | edges | worst share | kB |",
        "|---|---:|---|---|---:|---:|---|---:|",
    ]
    for model in models:
        worst = model.worst_field
        share = "" if worst is None else f"{percent(worst[1])} % ({worst[0]})"
        cells = (
            *(model.case, model.seed, model.family or "generated", model.tier),
            *(model.circuit_nodes, model.circuit_edges),
            share if model.certified else f"**not certified**, a control: {share}",
            f"{size(root / str(model.path)) / 1e3:,.0f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def size(folder: Path) -> int:
    """The bytes of all files of a model."""
    return sum(file.stat().st_size for file in folder.iterdir())


def write_page(models: Sequence[SuiteModel], root: Path = ROOT) -> None:
    """Puts the table into the page, in the place of the one that is there."""
    page = root / "README.md"
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(before + BEGIN + "\n" + "\n".join(table(models, root)) + "\n\n" + END + after)


def report(models: Sequence[SuiteModel], root: Path = ROOT) -> list[str]:
    """Says what the release holds, a line each."""
    total = sum(size(root / str(model.path)) for model in models)
    certified = [model for model in models if model.certified]
    families = sorted({model.family or "generated" for model in certified})
    tiers = {tier: sum(model.tier == tier for model in certified) for tier in TIERS}
    return [
        f"{len(models)} models, {len(certified)} of them certified; {total / 1e6:.1f} MB of {LIMIT / 1e6:.0f}",
        f"tiers: {', '.join(f'{tier} {count}' for tier, count in tiers.items())}",
        f"{len(families)} families: {', '.join(families)}",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Gathers, or reports; returns 1 where the release is not whole, or too large."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("gather").add_argument("folders", nargs="+", type=Path)
    commands.add_parser("report")
    commands.add_parser("missing")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    members = read_list()
    if options.command == "gather":
        gather(members, options.folders)
    missing = [member for member in members if not (ROOT / member.path).exists()]
    if options.command == "missing":
        print("\n".join(f"case={member.case} seed={member.seed}" for member in missing))
        return int(bool(missing))
    listed = {member.path for member in members}
    models = [model for model, _ in read_models(ROOT) if model.path in listed]
    if options.command == "gather":
        write_page(models)
    print("\n".join(report(models)))
    if missing:
        print(f"missing: {', '.join(member.path for member in missing)}")
    too_large = sum(size(ROOT / str(model.path)) for model in models) > LIMIT
    return int(bool(missing) or too_large)


if __name__ == "__main__":
    sys.exit(main())
