"""Reading a model's folder: only what its manifest lists, each file within bounds, and all of them held together."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from siit.bundle import _codec, _json
from siit.bundle._errors import BundleError, wrong
from siit.bundle._folder import read_file, recover_folder
from siit.bundle._manifest import MANIFEST_LIMIT, Manifest, read_manifest
from siit.bundle._names import (
    CERTIFICATE_FILE,
    CONFIG_FILE,
    EVIDENCE_FILE,
    MANIFEST_FILE,
    SIZE_LIMITS,
    WEIGHTS_FILE,
)
from siit.bundle._places import is_foreign, reach_of_model
from siit.bundle._types import Bundle

_ATTEMPTS = 5
_SEED_FOLDER = re.compile(r"seed-\d+")


def read_bundle(folder: Path, *, weights: bool = True, evidence: bool = True, within: Path | None = None) -> Bundle:
    """Reads a model's folder, and trusts nothing in it; what systems leave in folders is no part of it.

    Args:
        folder: `<root>/<case>/seed-<n>`, or a copy of such a folder.
        weights: read the weights; if False, their file may be missing.
        evidence: read the evidence; if False, its file may be missing.
        within: symbolic links may lead to files inside this folder (a download cache). By default, inside `folder`, or
            inside the repository where `folder` is of a snapshot that huggingface_hub downloaded.

    Raises:
        BundleError: names the file and the field that is wrong.
    """
    skipped = {name for name, wanted in ((WEIGHTS_FILE, weights), (EVIDENCE_FILE, evidence)) if not wanted}
    for attempt in range(_ATTEMPTS):
        recover_folder(folder)
        identity = _identity(folder)
        try:
            return _read(folder, skipped, within or reach_of_model(folder))
        except BundleError:
            # A writer may have replaced the folder half-way through; then what it put there is read.
            if attempt == _ATTEMPTS - 1 or _identity(folder) == identity:
                raise
    raise AssertionError("unreachable")


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _read(folder: Path, skipped: set[str], within: Path) -> Bundle:
    if not folder.is_dir():
        raise wrong(str(folder), "folder", "nothing" if not folder.exists() else "a file", "a model's folder")
    manifest = read_manifest(read_file(folder / MANIFEST_FILE, within, MANIFEST_LIMIT))
    present = {name for name in _names(folder) if not is_foreign(name)} - {MANIFEST_FILE}
    for name in sorted(present - set(manifest.files)):
        raise wrong(name, "file", "a file that the manifest does not list", f"the files of {MANIFEST_FILE}")
    for name in sorted(set(manifest.files) - present - skipped):
        raise wrong(name, "file", "nothing", f"the file that {MANIFEST_FILE} lists")
    files = {name: _read_listed(folder / name, manifest, within) for name in manifest.files if name not in skipped}
    bundle = _codec.decode(files, manifest.bundle_format)
    _check_place(folder, bundle, manifest)
    return bundle


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise wrong(str(folder), "folder", error.strerror, "one whose files can be listed") from error


def _read_listed(path: Path, manifest: Manifest, within: Path) -> bytes:
    name, entry = path.name, manifest.files[path.name]
    limit = SIZE_LIMITS.get(name, _json.JSON_LIMIT)
    if entry.size > limit:
        raise wrong(MANIFEST_FILE, f"files.{name}.size", entry.size, f"at most {limit} bytes")
    data = read_file(path, within, entry.size)
    if len(data) != entry.size:
        raise wrong(name, "size", f"{len(data)} bytes", f"{entry.size} bytes, as {MANIFEST_FILE} lists")
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry.sha256:
        raise wrong(name, "sha256", digest, f"{entry.sha256}, as {MANIFEST_FILE} lists")
    return data


def _check_place(folder: Path, bundle: Bundle, manifest: Manifest) -> None:
    certified: Mapping[str, object] = bundle.certificate
    if manifest.certified != certified["certified"]:
        raise wrong(MANIFEST_FILE, "certified", manifest.certified, f"what {CERTIFICATE_FILE} says")
    if manifest.certificate != certified["format"]:
        raise wrong(MANIFEST_FILE, "certificate", manifest.certificate, f"the format of {CERTIFICATE_FILE}")
    if (manifest.case, manifest.seed) != (bundle.case, bundle.seed):
        raise wrong(MANIFEST_FILE, "case, seed", f"{manifest.case}, {manifest.seed}", f"those of {CONFIG_FILE}")
    name = folder.resolve().name
    if _SEED_FOLDER.fullmatch(name) and name != f"seed-{bundle.seed}":
        raise wrong(CONFIG_FILE, "seed", bundle.seed, f"that of the folder {name}")
