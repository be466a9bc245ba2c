"""The index of all models below a root (`bundle.json`), rebuilt from their folders."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from siit._text import one_line
from siit.bundle import _json
from siit.bundle._card import CARD_FILE, Unreadable, is_generated, render_card
from siit.bundle._codec import check_case, check_seed
from siit.bundle._errors import BundleError, wrong
from siit.bundle._folder import locked, put_file, read_file, recover
from siit.bundle._manifest import MANIFEST_LIMIT, check_certificate_format, check_format, read_manifest
from siit.bundle._names import MANIFEST_FILE
from siit.bundle._places import reach_of_model, reach_of_root
from siit.bundle._reader import read_bundle
from siit.bundle._summary import Summary, summarize
from siit.bundle._types import BUNDLE_FORMAT
from siit.certificate.fields import FIRST_KIND_FORMAT

INDEX_FILE = "bundle.json"
_SEED_FOLDER = re.compile(r"seed-(0|[1-9]\d*)")
_ENTRY_KEYS = ("case", "seed", "path", "manifest_sha256", "certified", "certificate")


@dataclass(frozen=True)
class IndexEntry:
    """One model of a bundle; `path` is its folder below the root, with forward slashes.

    `certificate` is the format of its certificate, which tells its kind: `siit-certificate/1` is the weaker one of
    earlier versions.
    """

    case: str
    seed: int
    path: str
    manifest_sha256: str
    certified: bool
    certificate: str = FIRST_KIND_FORMAT


def seed_folder(case: str, seed: object) -> str:
    """Tells where a model's folder is below the root."""
    return f"{check_case(case)}/seed-{check_seed(seed)}"


def list_folders(root: Path) -> list[IndexEntry]:
    """Lists every model below `root`, by what its manifest says; the files themselves are not read.

    A folder whose manifest is damaged or names another model is left out, with a warning.
    """
    entries = []
    for folder in find_folders(root):
        try:
            data = read_file(folder / MANIFEST_FILE, reach_of_model(folder), MANIFEST_LIMIT)
            entries.append(make_entry(folder, data))
        except (BundleError, OSError) as error:
            warnings.warn(f"{folder} is left out of {INDEX_FILE}: {error}", stacklevel=2)
    return sorted(entries, key=lambda entry: (entry.case, entry.seed))


def find_folders(root: Path) -> list[Path]:
    """Finds every folder below `root` that has the name of a model's."""
    folders = sorted(root.glob("*/seed-*"))
    return [path for path in folders if _SEED_FOLDER.fullmatch(path.name) and not path.parent.name.startswith(".")]


def make_entry(folder: Path, manifest_data: bytes) -> IndexEntry:
    """Makes the line of the index for a model's folder with this manifest.

    Raises:
        BundleError: the manifest is damaged or names another model than the folder.
    """
    manifest = read_manifest(manifest_data)
    place, name = seed_folder(manifest.case, manifest.seed), f"{folder.parent.name}/{folder.name}"
    if place != name:
        raise wrong(MANIFEST_FILE, "case, seed", place, f"{name}, the folder's name")
    digest = hashlib.sha256(manifest_data).hexdigest()
    return IndexEntry(manifest.case, manifest.seed, place, digest, manifest.certified, manifest.certificate)


def read_index(root: Path, *, within: Path | None = None) -> list[IndexEntry]:
    """Reads the models that `bundle.json` lists.

    Args:
        root: of the bundle.
        within: symbolic links may lead to files inside this folder, see `read_bundle`.

    Raises:
        BundleError: missing or damaged; `write_index` rebuilds it.
    """
    content = _json.unseal(read_file(root / INDEX_FILE, within or reach_of_root(root), _json.JSON_LIMIT), INDEX_FILE)
    _json.expect_keys(content, ("format", "models"), INDEX_FILE)
    check_format(content["format"], INDEX_FILE)
    if not isinstance(content["models"], list):
        raise wrong(INDEX_FILE, "models", content["models"], "a list")
    entries = []
    for number, item in enumerate(content["models"]):
        field = f"models[{number}]"
        if not isinstance(item, dict):
            raise wrong(INDEX_FILE, field, item, "an object")
        # Indices of earlier versions say nothing of it; they wrote one kind.
        item.setdefault("certificate", FIRST_KIND_FORMAT)
        _json.expect_keys(item, _ENTRY_KEYS, INDEX_FILE, field)
        check_certificate_format(item["certificate"], INDEX_FILE, f"{field}.certificate")
        place = seed_folder(item["case"], item["seed"])
        if item["path"] != place:
            raise wrong(INDEX_FILE, f"{field}.path", item["path"], repr(place))
        if not isinstance(item["manifest_sha256"], str) or type(item["certified"]) is not bool:
            raise wrong(INDEX_FILE, field, item, "a sha256 in hex, and true or false for certified")
        entries.append(IndexEntry(**item))
    return entries


def write_index(root: Path) -> None:
    """Rebuilds `bundle.json`, and the card where siit wrote it, from the models' folders."""
    with locked(root):
        recover(root)
        rebuild_index(root)


def rebuild_index(root: Path) -> None:
    """`write_index` for one who holds the lock."""
    entries = list_folders(root)
    put_file(root / INDEX_FILE, render_index(entries))
    card = root / CARD_FILE
    if not os.path.lexists(card) or (
        card.is_file() and is_generated(card.read_text(encoding="utf-8", errors="replace"))
    ):
        put_file(card, render_card([_summary(root, entry) for entry in entries]).encode())


def render_index(entries: Sequence[IndexEntry]) -> bytes:
    """Renders the content of `bundle.json`."""
    return _json.seal({"format": BUNDLE_FORMAT, "models": [asdict(entry) for entry in entries]}, INDEX_FILE)


def _summary(root: Path, entry: IndexEntry) -> Summary | Unreadable:
    try:
        return summarize(read_bundle(root / entry.path, weights=False, evidence=False))
    # Whatever is wrong with a neighbour, the model that was just written is not to suffer from it.
    except Exception as error:
        return Unreadable(entry.case, entry.seed, one_line(error) or type(error).__name__)
