"""The public door for files that nobody vouches for: each is read within bounds, and each fault is one line."""

from siit.bundle._codec import check_case, check_seed
from siit.bundle._errors import BundleError, wrong
from siit.bundle._folder import read_file
from siit.bundle._json import parse
from siit.bundle._manifest import MANIFEST_LIMIT, FileEntry, read_manifest
from siit.bundle._names import CONFIG_FILE

__all__ = [
    "CONFIG_FILE",
    "MANIFEST_LIMIT",
    "BundleError",
    "FileEntry",
    "check_case",
    "check_seed",
    "parse",
    "read_file",
    "read_manifest",
    "wrong",
]
