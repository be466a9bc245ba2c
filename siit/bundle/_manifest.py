"""The manifest: the sha256 and size of every file of a model's folder, and where they came from (`manifest.json`)."""

from __future__ import annotations

import datetime
import functools
import hashlib
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from siit._version import __version__
from siit.bundle import _json
from siit.bundle._codec import check_case, check_seed
from siit.bundle._errors import wrong
from siit.bundle._names import CERTIFICATE_FILE, FILES, MANIFEST_FILE
from siit.bundle._types import BUNDLE_FORMAT, BUNDLE_FORMATS, Bundle
from siit.certificate.fields import FIRST_KIND_FORMAT, FORMATS

MANIFEST_LIMIT = 1 << 20
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(-dirty)?")
_KEYS = ("format", "case", "seed", "certified", "certificate", "created", "git_commit", "versions", "files")


@dataclass(frozen=True)
class FileEntry:
    """What the manifest says of one file: sha256 in hex, size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """A manifest that has been read and checked; `certificate` is the format of the certificate, which is its kind."""

    bundle_format: str
    case: str
    seed: int
    certified: bool
    certificate: str
    created: str
    git_commit: str | None
    versions: Mapping[str, str]
    files: Mapping[str, FileEntry]


def make_manifest(bundle: Bundle, files: Mapping[str, bytes]) -> bytes:
    """Makes the bytes of `manifest.json` for these files."""
    content = {
        "format": BUNDLE_FORMAT,
        "case": bundle.case,
        "seed": bundle.seed,
        "certified": bundle.certificate["certified"],
        "certificate": bundle.certificate["format"],
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git_commit": _git_commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "siit": __version__,
        },
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in sorted(files.items())
        },
    }
    return _json.seal(content, MANIFEST_FILE)


def with_certificate(manifest_data: bytes, data: bytes, certificate: Mapping[str, Any]) -> bytes:
    """Rewrites a manifest that was read before, for the same files but another `certificate.json`."""
    content = _json.unseal(manifest_data, MANIFEST_FILE)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    content |= {"certified": certificate["certified"], "certificate": certificate["format"]}
    content["files"] = {**content["files"], CERTIFICATE_FILE: entry}
    return _json.seal(content, MANIFEST_FILE)


def read_manifest(data: bytes) -> Manifest:
    """Reads `manifest.json`.

    Raises:
        BundleError: a byte of it was changed, or a field is wrong: a path out of the folder, say.
    """
    content = _json.unseal(data, MANIFEST_FILE)
    check_format(content.get("format"), MANIFEST_FILE)
    # Manifests of earlier versions say nothing of it; they wrote one kind.
    content.setdefault("certificate", FIRST_KIND_FORMAT)
    _json.expect_keys(content, _KEYS, MANIFEST_FILE)
    check_certificate_format(content["certificate"], MANIFEST_FILE, "certificate")
    commit, versions, files = content["git_commit"], content["versions"], content["files"]
    if type(content["certified"]) is not bool:
        raise wrong(MANIFEST_FILE, "certified", content["certified"], "true or false")
    if commit is not None and not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
        raise wrong(MANIFEST_FILE, "git_commit", commit, "40 hexadecimal digits, -dirty after them or not, or null")
    if not isinstance(versions, dict) or not all(isinstance(value, str) for value in versions.values()):
        raise wrong(MANIFEST_FILE, "versions", versions, "an object of strings")
    if not isinstance(files, dict):
        raise wrong(MANIFEST_FILE, "files", files, "an object")
    entries = {name: _read_entry(name, entry) for name, entry in files.items()}
    for name in FILES:
        if name not in entries:
            raise wrong(MANIFEST_FILE, "files", f"no {name}", f"all of {', '.join(FILES)}")
    return Manifest(
        bundle_format=content["format"],
        case=check_case(content["case"], MANIFEST_FILE),
        seed=check_seed(content["seed"], MANIFEST_FILE),
        certified=content["certified"],
        certificate=content["certificate"],
        created=_check_time(content["created"]),
        git_commit=commit,
        versions=versions,
        files=entries,
    )


def check_format(found: object, file: str) -> None:
    """Raises BundleError unless it is the format of a bundle that can be read."""
    if found not in BUNDLE_FORMATS:
        raise wrong(file, "format", found, " or ".join(map(repr, BUNDLE_FORMATS)))


def check_certificate_format(found: object, file: str, field: str) -> None:
    """Raises BundleError unless it is the format of a certificate, of either kind."""
    if found not in FORMATS:
        raise wrong(file, field, found, " or ".join(map(repr, FORMATS)))


def _read_entry(name: str, entry: Any) -> FileEntry:
    if not _FILE_NAME.fullmatch(name) or name == MANIFEST_FILE:
        raise wrong(MANIFEST_FILE, "files", name, "names of files in the same folder, the manifest's not among them")
    entry = entry if isinstance(entry, dict) else {}
    sha256, size = entry.get("sha256"), entry.get("size")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise wrong(MANIFEST_FILE, f"files.{name}.sha256", sha256, "64 hexadecimal digits")
    if type(size) is not int or size < 0:
        raise wrong(MANIFEST_FILE, f"files.{name}.size", size, "a number of bytes")
    return FileEntry(sha256, size)


def _check_time(text: object) -> str:
    try:
        time = datetime.datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        time = datetime.datetime.min
    if not isinstance(text, str) or time.utcoffset() != datetime.timedelta(0):
        raise wrong(MANIFEST_FILE, "created", text, "an ISO 8601 time in UTC")
    return text


@functools.cache
def _git_commit() -> str | None:
    """The commit of the code that runs, `-dirty` after it where its files differ; None outside of a checkout of it."""
    checkout = Path(__file__).resolve().parents[2]
    # A package that was installed into an environment inside somebody's repository is no part of it.
    if not (checkout / ".git").exists():
        return None

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    try:
        head = git("rev-parse", "HEAD").stdout.strip()
        # Models are no code: one that was trained into the checkout's own bundle changes its index.
        changed = git("diff", "--quiet", "HEAD", "--", ".", ":(exclude)checkpoints").returncode != 0
    except (OSError, subprocess.SubprocessError):
        return None
    commit = f"{head}-dirty" if changed else head
    return commit if _COMMIT.fullmatch(commit) else None
