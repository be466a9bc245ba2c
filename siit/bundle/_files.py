"""One model's folder as files to be copied, each with the size and sha256 that its manifest lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siit.bundle import _json
from siit.bundle._folder import read_file
from siit.bundle._index import IndexEntry, make_entry
from siit.bundle._manifest import MANIFEST_LIMIT, read_manifest, with_certificate
from siit.bundle._names import CERTIFICATE_FILE, MANIFEST_FILE
from siit.bundle._places import reach_of_model


@dataclass(frozen=True)
class File:
    """A file by its content, or by the place where that is found.

    Attributes:
        size: in bytes.
        sha256: in hex.
    """

    content: Path | bytes
    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> File:
        """Describes a file that exists in memory only."""
        return cls(content, len(content), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class ModelFiles:
    """A model's folder.

    Attributes:
        entry: its line in the index.
        created: when it was written, ISO 8601, UTC.
        files: by name, the manifest among them.
    """

    entry: IndexEntry
    created: str
    files: Mapping[str, File]


def model_files(folder: Path, certificate: Mapping[str, Any] | None = None) -> ModelFiles:
    """Lists the files of a model's folder, by what its manifest says; only the manifest is read.

    Args:
        folder: a model's folder.
        certificate: replaces the stored one, in `certificate.json` and in the manifest.

    Raises:
        BundleError: the manifest is damaged.
    """
    data = read_file(folder / MANIFEST_FILE, reach_of_model(folder), MANIFEST_LIMIT)
    replaced: dict[str, File] = {}
    if certificate is not None:
        content = _json.dump_rows(certificate, CERTIFICATE_FILE)
        replaced[CERTIFICATE_FILE] = File.of(content)
        data = with_certificate(data, content, certificate)
    manifest = read_manifest(data)
    listed = {name: File(folder / name, entry.size, entry.sha256) for name, entry in manifest.files.items()}
    return ModelFiles(make_entry(folder, data), manifest.created, {MANIFEST_FILE: File.of(data), **listed, **replaced})
