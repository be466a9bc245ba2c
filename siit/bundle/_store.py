"""Writing a bundle into its folder, with the checks that reading makes."""

from __future__ import annotations

from pathlib import Path

from siit.bundle import _codec
from siit.bundle._errors import BundleError, wrong
from siit.bundle._folder import locked, put_folder, read_file, recover, try_folder
from siit.bundle._index import rebuild_index, seed_folder
from siit.bundle._manifest import MANIFEST_LIMIT, make_manifest, read_manifest
from siit.bundle._names import CERTIFICATE_FILE, MANIFEST_FILE
from siit.bundle._types import Bundle


def check_bundle(bundle: Bundle) -> None:
    """Makes the checks of writing and of reading, and writes nothing.

    Args:
        bundle: the model.

    Raises:
        BundleError: names the file and the field that is wrong.
    """
    _codec.decode(_codec.encode(bundle))


def check_root(root: Path, case: str, seed: int) -> None:
    """Checks that a model can be put below a root, and leaves nothing there but the root and its lock.

    Args:
        root: of the bundles.
        case, seed: of the model.

    Raises:
        BundleError: a case or seed that cannot be. OSError: a folder that cannot be written or locked.
    """
    folder = root / seed_folder(case, seed)
    with locked(root):
        try_folder(folder)


def write_bundle(root: Path, bundle: Bundle, *, allow_uncertified: bool = False, overwrite: bool = False) -> Path:
    """Writes `<root>/<case>/seed-<seed>`, whole or not at all, and rebuilds the index; returns the folder.

    A folder that exists is replaced, but not a certified model by one that is not. Parallel writers into one root wait
    for each other.

    Args:
        root: of the bundles.
        bundle: the model.
        allow_uncertified: whether a model whose certificate says no is written.
        overwrite: whether such a model may take a certified one's place.

    Raises:
        BundleError: a check that reading makes fails, or the certificate says no and that is not allowed.
    """
    files = _codec.encode(bundle)
    _codec.decode(files)
    certified = bundle.certificate["certified"]
    if not certified and not allow_uncertified:
        raise wrong(CERTIFICATE_FILE, "certified", False, "true, or allow_uncertified=True")
    # The manifest comes last: a folder without one is never taken for a bundle.
    content = {**files, MANIFEST_FILE: make_manifest(bundle, files)}
    folder = root / seed_folder(bundle.case, bundle.seed)
    with locked(root):
        recover(root)
        if not certified and not overwrite and _says_certified(folder):
            raise wrong(
                str(folder),
                "certified",
                "a model that is not",
                "one that is, as the one there, or overwrite",
            )
        put_folder(folder, content)
        rebuild_index(root)
    return folder


def _says_certified(folder: Path) -> bool:
    """Whether the manifest of a model that is there says that it is certified; False where none can be read."""
    try:
        return read_manifest(read_file(folder / MANIFEST_FILE, folder, MANIFEST_LIMIT)).certified
    except BundleError:
        return False
