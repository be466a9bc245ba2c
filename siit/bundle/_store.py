"""Writing a bundle into its folder, with the checks that reading makes."""

from __future__ import annotations

from pathlib import Path

from siit.bundle import _codec
from siit.bundle._errors import wrong
from siit.bundle._folder import locked, put_folder, recover
from siit.bundle._index import rebuild_index, seed_folder
from siit.bundle._manifest import make_manifest
from siit.bundle._names import CERTIFICATE_FILE, MANIFEST_FILE
from siit.bundle._types import Bundle


def write_bundle(root: Path, bundle: Bundle, *, allow_uncertified: bool = False) -> Path:
    """Writes `<root>/<case>/seed-<seed>`, whole or not at all, and rebuilds the index; returns the folder.

    A folder that exists is replaced. Parallel writers into one root wait for each other.

    Raises:
        BundleError: a check that reading makes fails, or the certificate says no and `allow_uncertified` is not set.
    """
    files = _codec.encode(bundle)
    _codec.decode(files)
    if not bundle.certificate["certified"] and not allow_uncertified:
        raise wrong(CERTIFICATE_FILE, "certified", False, "true, or allow_uncertified=True")
    # The manifest comes last: a folder without one is never taken for a bundle.
    content = {**files, MANIFEST_FILE: make_manifest(bundle, files)}
    folder = root / seed_folder(bundle.case, bundle.seed)
    with locked(root):
        recover(root)
        put_folder(folder, content)
        rebuild_index(root)
    return folder
