"""The benchmark bundle, format 1: models with their labels and the evidence for them, in files that run no code."""

from siit.bundle._card import render_card
from siit.bundle._codec import MANIFEST_FILE
from siit.bundle._errors import BundleError
from siit.bundle._index import IndexEntry, list_folders, read_index, seed_folder, write_index
from siit.bundle._store import read_bundle, write_bundle
from siit.bundle._types import BUNDLE_FORMAT, Bundle
from siit.bundle._vocab import Vocab

__all__ = [
    "BUNDLE_FORMAT",
    "MANIFEST_FILE",
    "Bundle",
    "BundleError",
    "IndexEntry",
    "Vocab",
    "list_folders",
    "read_bundle",
    "read_index",
    "render_card",
    "seed_folder",
    "write_bundle",
    "write_index",
]
