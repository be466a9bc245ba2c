"""The benchmark bundle (format 2; 1 is read): models, labels and the evidence for them, in files that run no code."""

from siit.bundle._card import CARD_FILE, render_card
from siit.bundle._errors import BundleError
from siit.bundle._files import File, ModelFiles, model_files
from siit.bundle._folder import set_aside
from siit.bundle._index import (
    INDEX_FILE,
    IndexEntry,
    find_folders,
    list_folders,
    read_index,
    render_index,
    seed_folder,
    write_index,
)
from siit.bundle._names import CAUSAL_FILE, EVIDENCE_FILE, MANIFEST_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from siit.bundle._reader import read_bundle
from siit.bundle._store import check_bundle, check_root, write_bundle
from siit.bundle._summary import Summary, summarize
from siit.bundle._training import TRAINING_FILE
from siit.bundle._types import BUNDLE_FORMAT, Bundle
from siit.bundle._vocab import Vocab

__all__ = [
    "BUNDLE_FORMAT",
    "CARD_FILE",
    "CAUSAL_FILE",
    "EVIDENCE_FILE",
    "INDEX_FILE",
    "MANIFEST_FILE",
    "TOKENIZER_FILE",
    "TRAINING_FILE",
    "WEIGHTS_FILE",
    "Bundle",
    "BundleError",
    "File",
    "IndexEntry",
    "ModelFiles",
    "Summary",
    "Vocab",
    "check_bundle",
    "check_root",
    "find_folders",
    "list_folders",
    "model_files",
    "read_bundle",
    "read_index",
    "render_card",
    "render_index",
    "seed_folder",
    "set_aside",
    "summarize",
    "write_bundle",
    "write_index",
]
